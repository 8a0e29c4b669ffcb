"""How many files may this process have open, and is that enough?"""

import errno
import os
import resource
from pathlib import Path

from surgvista_jax.errors import UserError


def make_room(needed: int, what: str) -> None:
    """Raises this process's own limit so far that so many more files can be opened.

    Args:
        needed: how many.
        what: needs them, for the message.

    Raises:
        UserError: the system allows fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    total = _num_open() + needed
    if soft == resource.RLIM_INFINITY or soft >= total:
        return
    if hard != resource.RLIM_INFINITY and hard < total:
        raise UserError(
            f"{what} need about {needed} open files beside the {total - needed} there are, and"
            f" {hard} are allowed in all: lower loader.workers (--workers), or allow more (ulimit"
            f" -n {total})"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (total, hard))


def check_room() -> None:
    """Raises UserError where no other file can be opened: then files are there, but unread."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            return
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        raise UserError(
            f"too many open files: a process may have {soft} (ulimit -n); allow more, or lower"
            " loader.workers and loader.threads"
        ) from None


def _num_open() -> int:
    try:
        return len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        return 64
