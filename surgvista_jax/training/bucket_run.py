"""A run whose --workdir lies in a bucket: it works in a folder of this machine, copied there.

Locks, lines that are added and folders that are renamed need a disk. A thread brings each
checkpoint to the bucket when it is complete, and other files within a minute; at the end of the
run, all. The bucket is what counts: a start on any machine goes on from there. What a killed run
had not yet brought is still on its machine, and is taken there if nobody went on meanwhile; else
it is set aside there.
"""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import jax
import numpy as np

from surgvista_jax.addresses import address_of, in_bucket
from surgvista_jax.buckets import Bucket
from surgvista_jax.caches import user_cache
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.locking import NAME as LOCK
from surgvista_jax.locking import alone_in
from surgvista_jax.training.lease import Lease
from surgvista_jax.training.mirror import NAMES, OWNER, Mirror, names_noted
from surgvista_jax.training.processes import agree_on_file, on_all_processes
from surgvista_jax.writing import write_text, writing_to

_LOOK = 1.0  # seconds between two looks for new checkpoints
_AT_LEAST = 60.0  # seconds between two copies of other files


@contextlib.contextmanager
def folder_of_run(workdir: Path) -> Iterator[Path]:
    """The folder of this machine that a run works in: `workdir`, but for one in a bucket.

    All processes of a run call it.

    Raises:
        UserError: another run has the folder in the bucket, or it holds what no run brought there;
            it cannot be reached; in the end not all could be brought there; a process is on another
            machine.
    """
    if not in_bucket(workdir):
        yield workdir
        return
    address = address_of(workdir)
    digest = hashlib.sha256(address.encode()).hexdigest()[:16]
    try:
        folder = user_cache() / "runs" / digest / PurePosixPath(address).name
    except RuntimeError as error:
        raise UserError(f"{address}: {error}; set XDG_CACHE_HOME to a folder") from None
    with contextlib.ExitStack() as stack:
        if jax.process_index() == 0:
            stack.enter_context(_brought(Bucket(address), folder))
        try:
            agree_on_file(folder / OWNER)  # before the others look into the folder
        except UserError:
            raise UserError(
                f"{address}: a run in a bucket is one machine's, and process {jax.process_index()}"
                " does not see the folder of process 0: give several machines a --workdir that all"
                " share, such as a mounted disk"
            ) from None
        yield folder
        on_all_processes(np.array(True))  # what the others wrote is there too


@contextlib.contextmanager
def _brought(bucket: Bucket, folder: Path) -> Iterator[None]:
    """Has the folder as the bucket has it, and the bucket as the folder is; alone in both."""
    with alone_in(folder, "take another --workdir"), Lease(bucket, _stop) as lease:
        mirror = Mirror(bucket, folder)
        _begin(bucket, folder, mirror)
        copying = _Copying(mirror, lease)
        try:
            yield
        except KeyboardInterrupt:  # nothing is waited for
            copying.ended.set()
            raise
        except BaseException:
            copying.end()
            try:
                _finish(bucket, folder, mirror, lease)
            except UserError as late:  # the first error is the one to raise
                print(f"surgvista: {late}", file=sys.stderr)
            raise
        copying.end()
        _finish(bucket, folder, mirror, lease)


def _stop() -> None:
    print(
        "WARNING: another process has taken the run's folder in the bucket: stopping",
        file=sys.stderr,
    )
    os.kill(os.getpid(), signal.SIGTERM)


def _begin(bucket: Bucket, folder: Path, mirror: Mirror) -> None:
    """Decides from where the run goes on, and notes that it is this folder."""
    there = _owner(bucket.read(OWNER))
    here = _owner((folder / OWNER).read_bytes() if (folder / OWNER).is_file() else None)
    if not there and (others := mirror.objects()):  # before `look`, which removes
        raise UserError(
            f"{bucket.address}: holds what no run brought there, such as {min(others)}; take"
            " another --workdir"
        )
    sizes = mirror.look()
    if there and there[-1] in here:
        print(
            f"{bucket.address}: going on with what is here, in {folder}: nobody else has since",
            file=sys.stderr,
        )
    else:
        _set_aside(bucket, folder)
        print(f"{bucket.address}: the run works in {folder}", file=sys.stderr)
        mirror.fetch(sizes)
    new = uuid.uuid4().hex
    # Both, as a kill may come before the bucket knows the new one.
    write_text(folder / OWNER, json.dumps({"owners": [*there[-1:], new]}) + "\n")
    bucket.write(OWNER, json.dumps({"owners": [new]}).encode() + b"\n")


def _owner(data: bytes | None) -> list[str]:
    try:
        return [str(owner) for owner in parse((data or b"{}").decode())["owners"]]
    except (ValueError, KeyError, TypeError):
        return []


def _set_aside(bucket: Bucket, folder: Path) -> None:
    """Empties a folder, but for its lock: what a run left in it is moved to a folder beside it."""
    ours = {LOCK, OWNER, NAMES}
    if not (folder / OWNER).is_file():  # a start was cut off while it fetched
        ours |= names_noted(folder)
    found = [
        os.path.relpath(os.path.join(at, f), folder) for at, _, fs in os.walk(folder) for f in fs
    ]
    if ours.issuperset(found):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
        return
    left = next(
        place
        for number in itertools.count(1)
        if not os.path.lexists(place := folder.with_name(f"{folder.name}.left-{number}"))
    )
    with writing_to(left):
        left.mkdir()
        # The owner last: what is here without one is taken for fetched.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == OWNER):
            if path.name != LOCK:
                path.rename(left / path.name)
    print(
        f"{bucket.address}: what is there counts; what a run left in {folder} is now in {left}, and"
        " may be deleted",
        file=sys.stderr,
    )


def _finish(bucket: Bucket, folder: Path, mirror: Mirror, lease: Lease) -> None:
    """Brings what is left to the bucket."""
    if not lease.check():
        raise UserError(
            f"{bucket.address}: another process has gone on there; what this one trained since is"
            f" in {folder} until a run is started here again, and then beside it (.left-N)"
        )
    try:
        mirror.push()
    except UserError as error:
        raise UserError(
            f"{error}; what is not there is in {folder}, and the same command on this machine goes"
            " on with it"
        ) from error
    print(
        f"{bucket.address}: all of the run is there; the copy here, {folder}, may be deleted",
        file=sys.stderr,
    )


class _Copying:
    """A thread that brings to the bucket what comes into the folder."""

    def __init__(self, mirror: Mirror, lease: Lease):
        self._mirror, self._lease, self.ended = mirror, lease, threading.Event()
        self._thread = threading.Thread(target=self._run, name="copying", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ends the thread, after what it is about."""
        self.ended.set()
        self._thread.join()

    def _run(self) -> None:
        last, told = -_AT_LEAST, ""
        while not self.ended.wait(_LOOK):
            if time.monotonic() - last < _AT_LEAST and not self._mirror.new_checkpoints():
                continue
            if not self._lease.check():  # before each: this process may have been stopped for long
                return
            try:
                self._mirror.push()
                told = ""
            except (UserError, OSError) as error:  # it is tried again
                if str(error) != told:
                    print(f"WARNING: {error}; trying again", file=sys.stderr)
                told = str(error)
            last = time.monotonic()
