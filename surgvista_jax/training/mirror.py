"""A run folder of this machine and the same in a bucket: what is copied, and in which order.

An upload may be killed at any moment, and what the bucket then holds has to be a run that goes on,
as one whose folder here was cut off at some moment does. So of what a run writes one after the
other, what it wrote first is there first:

- the best parameters, before the line of evaluations.jsonl that names them;
- the record of the files that are ours, before those files;
- lines of metrics.jsonl and the like, before the checkpoint of their step.

A checkpoint is there by its mark, a list of its files, which comes after them: one that lacks any
is none. What has gone here is removed there last, if a run has put it there or fetched it: the
folder here has a list of such names. Objects that others put beside a run are let be.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from surgvista_jax.buckets import Bucket, at_once
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.ownership import RECORD
from surgvista_jax.training.lease import NAME as LEASE
from surgvista_jax.writing import write_text

OWNER = ".surgvista_bucket.json"  # who wrote last; there and in the folder here, see `bucket_run`
NAMES = ".surgvista_bucket_names.json"  # in the folder here: what was put there or fetched
_MARK = ".surgvista_whole.json"
_CHECKPOINT = re.compile(r"((?:.*/)?checkpoints/\d+)/.+")
# What is no part of a run: locks, and what is half written, set aside or kept by us.
_NOT_COPIED = re.compile(
    rf"(.*/)?(\.surgvista\.lock|{re.escape(LEASE)}|{re.escape(OWNER)}|{re.escape(NAMES)}"
    r"|\.partial-[^/]*(/.*)?|[^/]*\.orbax-checkpoint-tmp[^/]*(/.*)?|checkpoints/[^/]*\.damaged(/.*)?)"
)
_BEST = re.compile(r"(.*/)?best/checkpoints/\d+")
_GROWING = 2**26  # bytes; larger files are written whole, and do not grow while they are read


class _Read(NamedTuple):
    """A file: its size and time, and what it held, where it is small."""

    stamp: tuple[int, int]
    data: bytes | None


class Mirror:
    """Copies a run folder from and to a bucket.

    Args:
        bucket: of one run alone.
        folder: of this machine.
    """

    def __init__(self, bucket: Bucket, folder: Path):
        self._bucket, self._folder = bucket, folder
        self._files: dict[str, tuple[int, int]] = {}  # in the bucket -> size and time here
        self._checkpoints: dict[str, list[str]] = {}  # whole ones in the bucket -> their objects
        self._noted: set[str] = set()  # what the list in the folder says

    def objects(self) -> dict[str, int]:
        """All objects in the bucket but locks and the like; removes nothing."""
        return {n: size for n, size in self._bucket.sizes().items() if not _is_left_out(n)}

    def look(self) -> dict[str, int]:
        """The objects to fetch; removes checkpoints that were half uploaded.

        Only for a bucket that has an owner: in another, no checkpoint has our mark.
        """
        sizes = self.objects()
        for checkpoint, names in _checkpoints_of(sizes).items():
            mark = f"{checkpoint}/{_MARK}"
            files = self._files_of(mark, sizes)
            if files is None:
                at_once(self._bucket.remove, names)
            else:  # of what is in it, what others put there is let be
                self._checkpoints[checkpoint] = [*files, mark]
            for name in set(names).difference(files or ()):
                del sizes[name]
        self._noted = names_noted(self._folder)
        self._files = {name: (-1, -1) for name in self._noted & _plain(sizes)}
        return sizes

    def fetch(self, sizes: dict[str, int]) -> None:
        """Copies objects into the folder, which is empty.

        Raises:
            UserError: they do not fit on the disk, or cannot be reached; a name leads out of the
                folder, and nothing was fetched.
        """
        for name in sizes:
            pure = PurePosixPath(name)
            if pure.is_absolute() or ".." in pure.parts:
                raise UserError(f"{self._bucket.address}/{name}: is no name of a file")
        needed, free = sum(sizes.values()), shutil.disk_usage(self._folder).free
        if needed > free:
            raise UserError(
                f"{self._bucket.address}: its {needed / 2**30:.1f} GiB do not fit into"
                f" {self._folder} ({free / 2**30:.1f} GiB free); set XDG_CACHE_HOME to a folder of"
                " a larger disk"
            )

        def fetch(name: str) -> None:
            place = self._folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            self._bucket.fetch(name, place)

        self._note(sizes)
        at_once(fetch, sizes)
        self._files = {name: _stamp(self._folder / name) for name in _plain(sizes)}

    def new_checkpoints(self) -> bool:
        """Whether there are checkpoints that the bucket does not have."""
        return not self._checkpoints.keys() >= self._here()[1].keys()

    def push(self) -> None:
        """Brings the bucket to what is in the folder.

        Raises:
            UserError: the bucket cannot be reached; the next call goes on.
        """
        before = {name for name in self._here()[1] if not _BEST.fullmatch(name)}
        changed = [n for n, at in self._here()[0].items() if self._files.get(n) != at]
        data = {name: self._read(name) for name in sorted(changed, key=_is_record)}
        files, checkpoints = self._here()
        self._note(data)  # before they are put: a kill may come between
        best = {name for name in checkpoints if _BEST.fullmatch(name)}
        for checkpoint in sorted(best - self._checkpoints.keys(), key=_step):
            self._put_checkpoint(checkpoint, checkpoints[checkpoint])
        for named in (filter(_is_record, data), (n for n in data if not _is_record(n))):
            at_once(lambda name: self._put(name, data[name]), named)
        for checkpoint in sorted(before & checkpoints.keys() - self._checkpoints.keys(), key=_step):
            self._put_checkpoint(checkpoint, checkpoints[checkpoint])
        for checkpoint in self._checkpoints.keys() - checkpoints.keys():
            at_once(self._bucket.remove, self._checkpoints[checkpoint])
            del self._checkpoints[checkpoint]
        for name in self._files.keys() - files.keys():
            self._bucket.remove(name)
            del self._files[name]

    def _here(self) -> tuple[dict[str, tuple[int, int]], dict[str, list[str]]]:
        """Files of the folder and their stamps; checkpoints and the names of their files."""
        names = []
        for root, folders, files in os.walk(self._folder):
            below = os.path.relpath(root, self._folder)
            names += [os.path.normpath(os.path.join(below, name)) for name in files]
            folders[:] = [f for f in folders if not _is_left_out(os.path.normpath(f"{below}/{f}"))]
        stamps = {}
        for name in names:
            if not _is_left_out(name) and not _CHECKPOINT.fullmatch(name):
                try:
                    stamps[name] = _stamp(self._folder / name)
                except FileNotFoundError:
                    continue  # replaced or removed meanwhile
        return stamps, _checkpoints_of(names)

    def _read(self, name: str) -> _Read | None:
        """A file as it is now; None where it has gone."""
        path = self._folder / name
        with contextlib.suppress(FileNotFoundError):
            stamp = _stamp(path)
            return _Read(stamp, path.read_bytes() if stamp[0] < _GROWING else None)
        return None

    def _put(self, name: str, read: _Read | None) -> None:
        if read is None:
            return
        if read.data is not None:
            self._bucket.write(name, read.data)
        else:
            self._bucket.put(self._folder / name, name)
        self._files[name] = read.stamp

    def _put_checkpoint(self, checkpoint: str, names: list[str]) -> None:
        def put(name: str) -> None:
            self._bucket.put(self._folder / name, name)

        def sizes() -> dict[str, int]:
            return {name: (self._folder / name).stat().st_size for name in names}

        try:
            before = sizes()
            at_once(put, names)
            if sizes() != before:
                return  # it is put again
        except (FileNotFoundError, UserError):
            if (self._folder / checkpoint).is_dir():
                raise
            at_once(self._bucket.remove, names)  # newer ones took its place here meanwhile
            return
        self._bucket.write(f"{checkpoint}/{_MARK}", json.dumps({"files": before}).encode())
        self._checkpoints[checkpoint] = [*names, f"{checkpoint}/{_MARK}"]

    def _files_of(self, mark: str, sizes: dict[str, int]) -> list[str] | None:
        """The files of a checkpoint; None where it is not whole."""
        if mark not in sizes:
            return None
        try:
            noted = dict(parse((self._bucket.read(mark) or b"").decode())["files"])
        except (ValueError, KeyError, TypeError):
            return None
        return list(noted) if noted.items() <= sizes.items() else None

    def _note(self, names: Iterable[str]) -> None:
        """Adds to the list of what was put into the bucket or fetched."""
        if not self._noted.issuperset(names):
            self._noted |= set(names)
            write_text(self._folder / NAMES, json.dumps({"names": sorted(self._noted)}) + "\n")


def names_noted(folder: Path) -> set[str]:
    """The objects that runs in a folder have put into the bucket or fetched, as far as is known."""
    try:
        return set(map(str, parse((folder / NAMES).read_bytes().decode())["names"]))
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _plain(names: Iterable[str]) -> set[str]:
    """Those that are in no checkpoint."""
    return {name for name in names if not _CHECKPOINT.fullmatch(name)}


def _is_record(name: str) -> bool:
    return name.rpartition("/")[2] == RECORD


def _is_left_out(name: str) -> bool:
    return _NOT_COPIED.fullmatch(name) is not None


def _checkpoints_of(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        if not _is_left_out(name) and (inside := _CHECKPOINT.fullmatch(name)):
            found.setdefault(inside[1], []).append(name)
    return found


def _step(checkpoint: str) -> int:
    return int(checkpoint.rpartition("/")[2])


def _stamp(path: Path) -> tuple[int, int]:
    entry = path.stat()
    return entry.st_size, entry.st_mtime_ns
