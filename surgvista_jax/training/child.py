"""How a program of ours begins in a process of its own, which (on Linux) ends with this one.

And the log that takes what it prints.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from surgvista_jax.books import NotOurs, begins_as, open_place
from surgvista_jax.writing import writing_to

SAID = "$ surgvista "  # by which a log begins
# What Python runs of a process that shall end with this one: `python -c BEGIN PID MODULE WORD …`.
# Asks the kernel (prctl(2), PR_SET_PDEATHSIG; it outlives exec) to be told to stop when the parent
# dies, be it by SIGKILL, and becomes the program, unless the parent is gone already.
BEGIN = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""


@contextlib.contextmanager
def added_to(log: Path, heading: str) -> Iterator[int]:
    """An open file whose end is written to, a log; a line, which begins as `SAID`, says what of.

    Raises:
        UserError: it cannot be written, or somebody else has.
    """
    with writing_to(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open_place(log, os.O_RDWR | os.O_APPEND)
    try:
        if not begins_as(os.pread(file, len(SAID), 0), [SAID.encode()]):
            raise NotOurs(log, "was not written by this program")
        with writing_to(log):
            os.write(file, heading.encode())
        yield file
    finally:
        os.close(file)
