"""The ends of a command that does not succeed: exit codes and words."""

import errno
import os
import resource
import signal
from typing import NamedTuple

# Of a run that was told to stop: cut short is no success, though nothing is lost. The shell's
# number for SIGTERM.
TOLD_TO_STOP = 128 + signal.SIGTERM
# Of a run whose steps no longer end: the same command may go on. sysexits.h's EX_TEMPFAIL.
STANDS_STILL = 75


class UserError(Exception):
    """A mistake that the user can correct.

    The text is one line that names the file, the line or the key, and says what would be right. The
    command line prints it without a traceback and exits with code 1.
    """


class Ending(NamedTuple):
    """How a command ends: the exit code, and the line that says why."""

    code: int
    words: str


def ending(error: BaseException) -> Ending | None:
    """How an exception ends a command; None for a fault of ours, whose traceback is wanted."""
    if isinstance(error, UserError):
        return Ending(1, str(error))
    if isinstance(error, KeyboardInterrupt):
        return Ending(128 + signal.SIGINT, "interrupted")
    if isinstance(error, MemoryError):
        said = str(error).partition("\n")[0]
        return Ending(1, f"out of memory ({said})" if said else "out of memory")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return Ending(1, f"{error.strerror}: a process may have {soft} (ulimit -n); allow more")
    if isinstance(error, OSError) and error.strerror:
        named = "" if error.filename is None else f"{os.fsdecode(error.filename)!s:.300}: "
        return Ending(1, f"{named}{error.strerror}".replace("\n", " "))
    # By its name: commands that need no JAX do not import it.
    if type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in str(error):
        return Ending(
            1,
            f"{str(error).splitlines()[0]}: take a smaller batch or clips, budget.accumulate,"
            " compute.remat=full, or more devices",
        )
    return None


def end_in_words(code: int) -> str:
    """How a process ended: -11 -> "crashed (SIGSEGV)", 1 -> "failed (status 1)"."""
    if code >= 0:
        return f"failed (status {code})"
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL; is there too little memory?)"
    try:
        return f"crashed ({signal.Signals(-code).name})"
    except ValueError:  # of the real-time ones only two have a name
        return f"crashed (signal {-code})"
