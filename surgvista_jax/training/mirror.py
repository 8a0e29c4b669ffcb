"""A run folder of this machine and the same in a bucket: what is copied, and in which order.

An upload may be killed at any moment, and what the bucket then holds has to be a run that goes on,
as one whose folder here was cut off at some moment does. So of what a run writes one after the
other, what it wrote first is there first:

- the best parameters, before the line of evaluations.jsonl that names them;
- the record of the files that are ours, before those files;
- lines of metrics.jsonl and the like, before the checkpoint of their step.

A checkpoint is there by its mark, a list of its files, which comes after them: one that lacks any
is none. What has gone here is removed there last.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from surgvista_jax.buckets import Bucket
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.ownership import RECORD
from surgvista_jax.training.lease import NAME as LEASE

OWNER = ".surgvista_bucket.json"  # who wrote last; there and in the folder here, see `bucket_run`
_MARK = ".surgvista_whole.json"
_CHECKPOINT = re.compile(r"((?:.*/)?checkpoints/\d+)/.+")
# What is no part of a run: locks, and what is half written, set aside or kept by us.
_NOT_COPIED = re.compile(
    rf"(.*/)?(\.surgvista\.lock|{re.escape(LEASE)}|{re.escape(OWNER)}|\.partial-[^/]*(/.*)?"
    r"|[^/]*\.orbax-checkpoint-tmp[^/]*(/.*)?|checkpoints/[^/]*\.damaged(/.*)?)"
)
_BEST = re.compile(r"(.*/)?best/checkpoints/\d+")
_AT_ONCE = 8
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
        self._checkpoints: set[str] = set()  # whole ones in the bucket

    def look(self) -> dict[str, int]:
        """The objects of the run in the bucket; removes checkpoints that were half uploaded."""
        sizes = {n: size for n, size in self._bucket.sizes().items() if not _is_left_out(n)}
        for checkpoint, names in _checkpoints_of(sizes).items():
            if self._is_whole(checkpoint, names, sizes):
                self._checkpoints.add(checkpoint)
                del sizes[f"{checkpoint}/{_MARK}"]
            else:
                _all(self._bucket.remove, names)
                sizes = {name: size for name, size in sizes.items() if name not in names}
        self._files = {name: (-1, -1) for name in sizes if not _CHECKPOINT.fullmatch(name)}
        return sizes

    def fetch(self, sizes: dict[str, int]) -> None:
        """Copies objects into the folder, which is empty.

        Raises:
            UserError: they do not fit on the disk, or cannot be reached.
        """
        needed, free = sum(sizes.values()), shutil.disk_usage(self._folder).free
        if needed > free:
            raise UserError(
                f"{self._bucket.address}: its {needed / 2**30:.1f} GiB do not fit into"
                f" {self._folder} ({free / 2**30:.1f} GiB free); set XDG_CACHE_HOME to a folder of"
                " a larger disk"
            )

        def fetch(name: str) -> None:
            place = self._folder / name
            if ".." in place.parts:
                raise UserError(f"{self._bucket.address}/{name}: is no name of a file")
            place.parent.mkdir(parents=True, exist_ok=True)
            self._bucket.fetch(name, place)

        _all(fetch, sizes)
        for name in self._files:
            self._files[name] = _stamp(self._folder / name)

    def new_checkpoints(self) -> bool:
        """Whether there are checkpoints that the bucket does not have."""
        return not self._checkpoints.issuperset(self._here()[1])

    def push(self) -> None:
        """Brings the bucket to what is in the folder.

        Raises:
            UserError: the bucket cannot be reached; the next call goes on.
        """
        before = {name for name in self._here()[1] if not _BEST.fullmatch(name)}
        changed = [n for n, at in self._here()[0].items() if self._files.get(n) != at]
        data = {name: self._read(name) for name in sorted(changed, key=_is_record)}
        files, checkpoints = self._here()
        best = {name for name in checkpoints if _BEST.fullmatch(name)}
        for checkpoint in sorted(best - self._checkpoints, key=_step):
            self._put_checkpoint(checkpoint, checkpoints[checkpoint])
        for named in (filter(_is_record, data), (n for n in data if not _is_record(n))):
            _all(lambda name: self._put(name, data[name]), named)
        for checkpoint in sorted(before & checkpoints.keys() - self._checkpoints, key=_step):
            self._put_checkpoint(checkpoint, checkpoints[checkpoint])
        for checkpoint in self._checkpoints - checkpoints.keys():
            names = [name for name in self._bucket.sizes() if name.startswith(f"{checkpoint}/")]
            _all(self._bucket.remove, names)
            self._checkpoints.discard(checkpoint)
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
            _all(put, names)
            if sizes() != before:
                return  # it is put again
        except (FileNotFoundError, UserError):
            if (self._folder / checkpoint).is_dir():
                raise
            _all(self._bucket.remove, names)  # newer ones took its place here meanwhile
            return
        self._bucket.write(f"{checkpoint}/{_MARK}", json.dumps({"files": before}).encode())
        self._checkpoints.add(checkpoint)

    def _is_whole(self, checkpoint: str, names: list[str], sizes: dict[str, int]) -> bool:
        mark = f"{checkpoint}/{_MARK}"
        try:
            noted = parse((self._bucket.read(mark) or b"").decode())["files"]
        except (ValueError, KeyError, TypeError):  # or there is none
            return False
        return bool({name: sizes[name] for name in names if name != mark} == noted)


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


def _all(work: Callable[[str], None], names: Iterable[str]) -> None:
    """Does something with each name, several at once; the first error ends it."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(work, name) for name in names]
        try:
            for each in running:
                each.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
