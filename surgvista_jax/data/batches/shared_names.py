"""Whose are the files in memory that loaders share their batches by, and which are left over?

The names of a loader's files start alike, and a file that its process keeps locked stands for them:
`.surgvista-<pid>-<id>.lock` for `surgvista-<pid>-<id>-...`. The kernel takes the lock back however
the process ends, so that what can be locked is left over, whoever looks and from whichever
container; files of other users cannot even be opened.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import uuid
from pathlib import Path
from typing import NamedTuple

from surgvista_jax.errors import UserError
from surgvista_jax.locking import is_at, keep_from_children, let_go, try_lock

MEMORY = Path("/dev/shm")
_OWNED = "surgvista-"
_WORTH_SAYING = 10_000_000  # bytes


class Claim(NamedTuple):
    """A prefix of paths in memory that no other loader of this machine uses.

    Attributes:
        prefix: how the paths start.
        file: the open file that stands for them, locked; None where files cannot be locked.
    """

    prefix: str
    file: int | None

    def release(self) -> None:
        """Lets go of it, once the files are removed."""
        if self.file is not None:
            let_go(self.file)


def claim_prefix() -> Claim:
    """Makes a claim.

    Raises:
        UserError: there is no folder for it.
    """
    folder = _folder()
    while True:
        prefix = f"{folder}/{_OWNED}{os.getpid()}-{uuid.uuid4().hex}-"
        path = owner_path(prefix)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise UserError(
                f"{folder}: loader workers hand over their batches there, and no file can be made"
                f" ({error.strerror}; {_room(folder)}): set loader.workers=0"
            ) from None
        keep_from_children(file)
        try:
            locked = try_lock(file)
        except OSError:  # no locks: nobody can tell whether this is left over
            let_go(file)
            return Claim(prefix, None)
        # Another process may have seen it before it was locked, and removed it.
        if locked and is_at(file, path):
            return Claim(prefix, file)
        let_go(file)


def owner_path(prefix: str) -> Path:
    """The file that stands for a prefix."""
    folder, name = os.path.split(prefix)
    return Path(folder, f".{name.removesuffix('-')}.lock")


def remove_left() -> None:
    """Removes what killed processes left where `claim_prefix` would lie; says how much it was."""
    folder, freed = _usable(), 0
    if folder is None:
        return
    for owner in folder.glob(f".{_OWNED}*.lock"):
        try:
            file = os.open(owner, os.O_RDWR)
        except OSError:  # another user's, or gone by now
            continue
        try:
            if try_lock(file) and is_at(file, owner):
                freed += _remove(owner)
        except OSError:
            pass
        finally:
            os.close(file)
    if freed >= _WORTH_SAYING:
        print(f"{folder}: removed {freed / 1e9:.2g} GB that killed runs left", file=sys.stderr)


def no_room(path: Path, size: int, most: int, reason: str | None) -> UserError:
    """The error for a batch that the shared memory has no room for.

    Args:
        path: of its file.
        size: of one batch, in bytes.
        most: how many batches may lie there at a time.
        reason: the system's.
    """
    return UserError(
        f"{path.parent}: no shared memory for another batch ({reason}): a batch takes"
        f" {_gigabytes(size)}, up to {most} of them lie there ({_gigabytes(size * most)}), and"
        f" {_room(path.parent)}: lower loader.buffer or the batch, set loader.workers=0, or give"
        " the container more (docker: --shm-size)"
    )


def _usable() -> Path | None:
    """Where batches are handed over; None where nothing can be written."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK):
        return MEMORY
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return None


def _folder() -> Path:
    folder = _usable()
    if folder == MEMORY:
        return folder
    if folder is None:
        raise UserError(
            f"neither {MEMORY} nor a folder for temporary files can be written, where loader"
            " workers hand over their batches: set loader.workers=0"
        )
    print(
        f"WARNING: {MEMORY} cannot be written: loader workers hand over their batches in {folder}"
        f" ({_room(folder)}), which may be slow; loader.workers=0 needs neither",
        file=sys.stderr,
    )
    return folder


def _room(folder: Path) -> str:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return "its size is unknown"
    return f"{_gigabytes(usage.free)} of its {_gigabytes(usage.total)} are free"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.3g} GB"


def _remove(owner: Path) -> int:
    """Removes the files that an owner stands for, and it; returns their bytes."""
    freed = 0
    for path in owner.parent.glob(f"{owner.name.removeprefix('.').removesuffix('.lock')}-*"):
        with contextlib.suppress(OSError):
            freed += path.stat().st_blocks * 512
            path.unlink()
    owner.unlink(missing_ok=True)
    return freed
