"""One of our programs in a process of its own, which (on Linux) ends with this one.

A process that trains one model after another keeps what the first left in the libraries below JAX:
the memory of its GPU is in pieces, and cuDNN's graphs of one run are alive while those of the next
are read, which has crashed on an H100. A crash there is the end of one run, not of all.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.errors import TOLD_TO_STOP, UserError, end_in_words

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Asks the kernel (prctl(2), PR_SET_PDEATHSIG; it outlives exec) to be told to stop when the parent
# dies, be it by SIGKILL, and becomes the program, unless the parent is gone already.
_BEGIN = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""


class Stopped(Exception):
    """A program was told to stop; the same command goes on from there."""


def run_program(words: Sequence[str], folder: Path, module: str = "surgvista_jax") -> None:
    """Runs `python -m surgvista_jax WORDS` to its end; what it prints goes to our stderr.

    SIGTERM, SIGHUP and Ctrl-C are passed on to it, once each: it has a process group of its own, so
    the terminal does not tell it too. It must have no device in common with this process, unless
    this one has left it alone: JAX takes most of a GPU's memory.

    Args:
        words: the command and its options.
        folder: of the run; for what is said of a failure.
        module: what Python runs instead of our command line.

    Raises:
        Stopped: it was told to stop.
        KeyboardInterrupt: it was interrupted, by a second Ctrl-C or before its run began.
        UserError: it failed or crashed.
    """
    command = [sys.executable, "-c", _BEGIN, str(os.getpid()), module, *words]
    # The stack of a crash is said too. Its standard output is our standard error.
    environment = os.environ | {"PYTHONFAULTHANDLER": "1"}
    with _passed_on() as (started, came):
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=2, env=environment, process_group=0
        )
        try:
            started(process)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    # A run that was about to end anyway has not heard it, and what follows it must not begin.
    unheard = came if not code else []
    if code in (128 + signal.SIGINT, -signal.SIGINT) or signal.SIGINT in unheard:
        raise KeyboardInterrupt
    if code in (TOLD_TO_STOP, -signal.SIGTERM, -signal.SIGHUP) or unheard:
        raise Stopped
    if code:
        raise UserError(
            f"{folder}: {words[0]} {end_in_words(code)}; its log is above;"
            " the same command goes on with this run"
        )


@contextlib.contextmanager
def _passed_on() -> Iterator[tuple[Callable[[subprocess.Popen], None], Sequence[int]]]:
    """Notes signals; the function that it gives sends them to a process, and those that come.

    The second that it gives are the signals that came.
    """
    came: list[int] = []
    waiting: list[int] = []
    processes: list[subprocess.Popen] = []

    def send() -> None:
        while processes and waiting:
            processes[0].send_signal(waiting.pop(0))

    def note(number: int, frame: Any) -> None:
        came.append(number)
        waiting.append(number)
        send()

    def started(process: subprocess.Popen) -> None:
        processes.append(process)
        send()

    # nohup has SIGHUP ignored, and means it; children inherit that.
    ours = [number for number in _PASSED_ON if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in ours}
    try:
        yield started, came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
