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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.books import NotOurs, begins_as, open_place
from surgvista_jax.errors import TOLD_TO_STOP, UserError, end_in_words
from surgvista_jax.writing import writing_to

SAID = "$ surgvista "  # by which a log begins
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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


class Stopped(Exception):
    """A program was told to stop; the same command goes on from there."""


def run_program(words: Sequence[str], folder: Path, module: str = "surgvista_jax") -> None:
    """Runs `python -m surgvista_jax WORDS` to its end; what it prints goes to FOLDER.log.

    SIGTERM, SIGHUP and Ctrl-C are passed on to it, once each, and it stands still while Ctrl-Z has
    stopped this process: it has a group of its own, so the terminal does not tell it too. It must
    have no device in common with this process, unless this one has left it alone: JAX takes most of
    a GPU's memory.

    Args:
        words: the command and its options.
        folder: of the run.
        module: what Python runs instead of our command line.

    Raises:
        Stopped: it was told to stop.
        KeyboardInterrupt: it was interrupted, by a second Ctrl-C or before its run began.
        UserError: it failed or crashed; its log cannot be written.
    """
    log = folder.with_name(f"{folder.name}.log")
    print(f"{folder}: {words[0]}; what it says is added to {log}", file=sys.stderr)
    command = [sys.executable, "-c", BEGIN, str(os.getpid()), module, *words]
    # The stack of a crash is said too.
    environment = os.environ | {"PYTHONFAULTHANDLER": "1"}
    with _heard() as signals, added_to(log, f"{SAID}{' '.join(words)}\n") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            process_group=0,
        )
        try:
            signals.begin(process)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    # A run that was about to end anyway has not heard it, and what follows it must not begin.
    unheard = signals.came if not code else []
    if code in (128 + signal.SIGINT, -signal.SIGINT) or signal.SIGINT in unheard:
        raise KeyboardInterrupt
    if code in (TOLD_TO_STOP, -signal.SIGTERM, -signal.SIGHUP) or unheard:
        raise Stopped
    if code:
        raise UserError(
            f"{folder}: {words[0]} {end_in_words(code)}; {log} says more; the same command goes on"
            " with this run"
        )


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


class _Signals:
    """The signals that came while a program runs, which are sent to it too."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self._process: subprocess.Popen | None = None

    def pass_on(self, number: int, frame: Any) -> None:
        self.came.append(number)
        if self._process is not None:
            self._process.send_signal(number)

    def pause(self, number: int, frame: Any) -> None:
        """Stands still with the program and the processes that it started, until told to go on."""
        self._tell_all(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._tell_all(signal.SIGCONT)

    def begin(self, process: subprocess.Popen) -> None:
        """Sends what has come; from here on, what comes is sent at once."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
        try:
            self._process = process
            for number in self.came:
                process.send_signal(number)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _tell_all(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)


@contextlib.contextmanager
def _heard() -> Iterator[_Signals]:
    """Has signals that would end or stop this process noted instead."""
    heard = _Signals()
    handlers = {**dict.fromkeys(_PASSED_ON, heard.pass_on), signal.SIGTSTP: heard.pause}
    # nohup has SIGHUP ignored, and means it; children inherit that.
    before = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
