"""Files that a command keeps for itself and adds to: are they its own, and in their own place?

Such are the record of what was written, the journal of a conversion, a lock, what grows as a run
trains. A link there would lead to somebody else's file, and no option lets one be written to.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from surgvista_jax.errors import UserError


class NotOurs(UserError):
    """Where a command keeps something of its own there is something else: what."""

    def __init__(self, path: Path, what: str):
        kept = "where this program keeps a file of its own; move it away"
        super().__init__(f"{path}: {what}, {kept}")


def check_place(path: Path) -> None:
    """Refuses what is no file, or not in this place; nothing may be there either.

    Raises:
        NotOurs: a link, a folder or a device.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:  # nothing, or whoever opens it says why
        return
    if not stat.S_ISREG(mode):
        named = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}
        raise NotOurs(path, f"is {named.get(stat.S_IFMT(mode), 'no file')}")


def open_place(path: Path, flags: int) -> int:
    """Opens a file of `check_place`, or makes it, as `os.open` does.

    Raises:
        NotOurs: as `check_place`.
        OSError: it cannot be opened.
    """
    check_place(path)
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def begins_as(data: bytes, beginnings: Iterable[bytes]) -> bool:
    """Whether what a file holds may begin so; also where it was cut off before."""
    return any(data.startswith(begin) or begin.startswith(data) for begin in beginnings)
