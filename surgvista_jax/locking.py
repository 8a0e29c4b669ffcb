"""One process at a time in a folder: a lock that the kernel takes back however its holder ends.

The lock is `flock`'s, on a file in the folder that says who holds it. It holds between containers
that see one file system of one machine. On NFS the server keeps it for all machines, unless the
share is mounted with `nolock` or `local_lock`, and Lustre needs `-o flock`; where there is no lock
to be had, that is said, and nothing is locked.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from surgvista_jax.addresses import refuse_address
from surgvista_jax.books import NotOurs, begins_as, open_place
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.writing import writing_to

NAME = ".surgvista.lock"
# That a process which has just taken the lock is given to write who it is, in seconds.
_INTRODUCTION = 1.0
_LOOK = 0.2  # seconds between two looks at a lock that is waited for

_BEGINNING = b'{"host": '  # of what a lock says

_held: dict[str, int] = {}  # real path of a folder -> the open file
_files: set[int] = set()  # open ones that stand for a lock


@contextlib.contextmanager
def alone_in(
    folder: Path, advice: str = "take another folder", patience: float = 0.0
) -> Iterator[None]:
    """Has a folder for this process alone; inside itself, in one process, it does nothing.

    The folder is made, and removed again where nothing came into it.

    Args:
        advice: what else can be done than to wait.
        patience: seconds that the end of another process is waited for.

    Raises:
        UserError: another process has it, and keeps it for longer than `patience`: which, and
            where; there is something else in the place of the lock.
        CannotWrite: the folder cannot be written.
    """
    refuse_address(folder)
    with writing_to(folder):
        made = _make(folder)
    place = os.path.realpath(folder)
    if place in _held:
        yield
        return
    try:
        _held[place] = _take(
            Path(place), f"{folder}: another process is at work here", advice, patience
        )
        try:
            yield
        finally:
            if (file := _held.pop(place, None)) is not None:
                _release(file, Path(place) / NAME)
    finally:
        for empty in made:
            with contextlib.suppress(OSError):
                empty.rmdir()


def try_lock(file: int) -> bool:
    """Locks an open file until it is closed; returns False if another process has it locked.

    Raises:
        OSError: files of this file system cannot be locked.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until_free(folder: Path, seconds: float) -> None:
    """Waits while another process has a folder for itself, but not for ever.

    For one that was told to stop and saves: whoever comes next then finds the folder free.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            file = os.open(folder / NAME, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:  # nobody has it
            return
        try:
            if try_lock(file):
                return
        except OSError:  # this file system has no locks
            return
        finally:
            os.close(file)
        time.sleep(0.2)


def keep_from_children(file: int) -> None:
    """Closes an open file in processes that are forked, which would keep its lock otherwise."""
    _files.add(file)


def let_go(file: int) -> None:
    """Closes a file of `keep_from_children`, and so unlocks it."""
    if file in _files:  # else this process was forked, and has closed it
        _files.remove(file)
        os.close(file)


def is_at(file: int, path: Path) -> bool:
    """Whether an open file is the one at a path, which may have been removed or replaced."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def _make(folder: Path) -> list[Path]:
    """Makes a folder; returns those that were made for it, the deepest first."""
    missing = []
    for path in (folder, *folder.parents):
        if os.path.lexists(path):
            break
        missing.append(path)
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _take(folder: Path, busy: str, advice: str, patience: float) -> int:
    path, deadline = folder / NAME, time.monotonic() + patience
    while True:
        with writing_to(folder):
            file = _open(path)
        try:
            while not _lock(file, folder):
                if time.monotonic() < deadline:
                    time.sleep(_LOOK)
                    continue
                raise UserError(f"{busy} ({_holder(path)}); wait for its end, or {advice}")
            # One that ended just now may have removed the file that was opened.
            if is_at(file, path):
                if not begins_as(os.pread(file, len(_BEGINNING), 0), [_BEGINNING]):
                    raise NotOurs(path, "was not written by this program")
                _introduce(file)
                keep_from_children(file)
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _open(path: Path) -> int:
    try:
        return open_place(path, os.O_RDWR)
    except PermissionError as denied:
        try:  # another user's, who was killed: it can be locked all the same
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:  # there is none, and none can be made
            raise denied from None


def _lock(file: int, folder: Path) -> bool:
    try:
        return try_lock(file)
    except OSError as error:
        print(
            f"WARNING: {folder}: this file system has no locks ({error.strerror}): see to it that"
            " no other process works in this folder",
            file=sys.stderr,
        )
        return True


def _introduce(file: int) -> None:
    """Writes down who has the lock, for those who want it."""
    about = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.strftime("%F %T %z")}
    with contextlib.suppress(OSError):  # a full disk, or another user's file
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(about).encode() + b"\n", 0)


def _holder(path: Path) -> str:
    """Who has the lock, in words."""
    deadline = time.monotonic() + _INTRODUCTION
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            about = parse(path.read_text(encoding="utf-8"))
            return f"host {about['host']}, pid {about['pid']}, since {about['since']}"
        if time.monotonic() > deadline:
            return "it does not say which"
        time.sleep(0.02)


def _release(file: int, path: Path) -> None:
    try:
        if is_at(file, path):
            path.unlink()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    finally:
        let_go(file)


def _forget() -> None:
    """A forked process has its parent's open files, which would keep the locks after its end."""
    _held.clear()
    while _files:
        os.close(_files.pop())


os.register_at_fork(after_in_child=_forget)
