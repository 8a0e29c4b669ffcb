"""How is a command run, many times and fast, in a process that may be killed?

Python and JAX take seconds to start.  This process imports everything once and never computes
anything itself; each command runs in a fork of it, which is a process like any other, the leader
of a group and a session of its own, with limits of time and memory.
"""

import atexit
import contextlib
import importlib
import os
import pickle
import pkgutil
import resource
import runpy
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

LONGEST = 300.0  # seconds that a command of a try may take, on a very busy machine
MOST_GIB = 3.0  # memory that it may hold
_AFTERWARDS = 45.0  # seconds in which what a command started ends after it
_LOOK = 0.02  # seconds between two looks at a process


class Broken(Exception):
    """A promise that does not hold; the text says what happened instead."""


class Ended(NamedTuple):
    """How a command ended; a negative code is a signal."""

    code: int
    out: str
    err: str
    seconds: float


def import_everything() -> None:
    """Imports what any command will need, so that forks have it."""
    import surgvista_jax.commands as commands

    for module in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"{commands.__name__}.{module.name}")
    # JAX warns of forks: here no fork follows a computation.
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called")


class Command:
    """`surgvista WORDS`, running.

    Args:
        words: the command line.
        folder: of what it prints, `out` and `err`, and the folder it runs in.
        file_bytes: no file that it writes may become larger: what a full disk is to it.

    Attributes:
        pids: of itself and of what was seen to run in its session, living or dead.
    """

    def __init__(self, words: Sequence[str], folder: Path, file_bytes: int | None = None):
        self.words, self._folder = list(words), folder
        folder.mkdir(parents=True)
        (folder / "command").write_text(" ".join(map(repr, words)) + "\n", errors="replace")
        self._began = time.monotonic()
        self._code: int | None = None
        # Pipes, because a limit on files would cut off what is said about it.
        pipes = {name: os.pipe() for name in ("out", "err")}
        ends = [pipes["out"][1], pipes["err"][1]]
        self.pid = _fork(lambda: _become(self.words, folder, ends, file_bytes))
        self.pids = {self.pid}
        self._pipes = {name: reader for name, (reader, _) in pipes.items()}
        for reader, writer in pipes.values():
            os.close(writer)
            os.set_blocking(reader, False)

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._hear()
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
                for reader in self._pipes.values():
                    os.close(reader)
        return self._code

    def _hear(self) -> None:
        """Takes what was said so far from the pipes to files in the folder."""
        for name, reader in self._pipes.items():
            with open(self._folder / name, "ab") as file, contextlib.suppress(BlockingIOError):
                while data := os.read(reader, 1 << 16):
                    file.write(data)

    def send(self, number: int, group: bool = False) -> None:
        """Sends a signal to it, or to all processes that it started too."""
        if self.poll() is None:
            self.members()  # which are known then, however it ends
            (os.killpg if group else os.kill)(self.pid, number)

    def finish(self, seconds: float = LONGEST) -> Ended:
        """Waits for its end.

        Raises:
            Broken: it does not end, takes too much memory, or leaves processes behind.
        """
        deadline = time.monotonic() + seconds
        try:
            while (code := self.poll()) is None:
                if time.monotonic() > deadline:
                    raise Broken(f"still runs after {seconds:g} s: {self.last_line()}")
                if (held := _resident_gib(self.pid)) > MOST_GIB:
                    raise Broken(f"holds {held:.1f} GiB of memory")
                time.sleep(_LOOK)
            deadline = time.monotonic() + _AFTERWARDS
            while left := self.members():
                if time.monotonic() > deadline:
                    raise Broken(f"leaves {len(left)} processes behind, {_AFTERWARDS:g} s later")
                time.sleep(_LOOK)
        finally:
            self.kill()
        out, err = (self._read(name) for name in ("out", "err"))
        return Ended(code, out, err, time.monotonic() - self._began)

    def wait_until(self, happened: Callable[[], Any], seconds: float = LONGEST) -> bool:
        """Waits for something, and returns whether it came before the command's end."""
        deadline = time.monotonic() + seconds
        while not happened():
            if self.poll() is not None:
                return False
            if time.monotonic() > deadline:
                self.kill()
                raise Broken(f"nothing happens within {seconds:g} s: {self.last_line()}")
            time.sleep(_LOOK)
        return True

    def kill(self) -> None:
        """Kills what is left of it and of all processes that it started."""
        for pid in self.members():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        while self.poll() is None:
            time.sleep(_LOOK)

    def members(self) -> list[int]:
        """The living processes of its session: itself and what it started."""
        found = []
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
            try:
                text = Path(f"/proc/{pid}/stat").read_text()
                state, _, _, session = text.rpartition(")")[2].split()[:4]
            except (OSError, ValueError):
                continue  # it has just ended
            if int(session) == self.pid and state != "Z":
                found.append(pid)
        self.pids.update(found)
        return found

    def workers(self) -> list[int]:
        """The loader workers and other helpers that it started with Python."""
        return [pid for pid in self.members() if b"spawn_main" in _command_line(pid)]

    def last_line(self) -> str:
        """The last line that it said."""
        lines = (self._read("out") + self._read("err")).strip().splitlines()
        return lines[-1][:200] if lines else "nothing was said"

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text(errors="replace")


def in_child(function: Callable, *arguments: Any) -> Any:
    """What `function(*arguments)` returns in a fork: this process itself must not start JAX.

    Raises:
        Broken: it raised something.
    """
    reader, writer = os.pipe()

    def call() -> None:
        os.close(reader)
        try:
            answer = (True, function(*arguments))
        except BaseException:
            answer = (False, traceback.format_exc())
        with open(writer, "wb") as pipe:
            pickle.dump(answer, pipe)

    pid = _fork(call)
    os.close(writer)
    with open(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    good, value = pickle.loads(data) if data else (False, "the child died")
    if not good:
        raise Broken(f"{function.__name__}: a traceback: {value.strip().splitlines()[-1]}\n{value}")
    return value


_OURS = "/surgvista_jax/"


def _fork(function: Callable[[], Any]) -> int:
    """Runs a function in a fork, which ends with it and never returns from here."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        function()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
        # Before the first line of ours a Ctrl-C is Python's own affair.
        if code == 1 or any(
            _OURS in frame.filename for frame in traceback.extract_tb(error.__traceback__)
        ):
            traceback.print_exc()
    _leave(code)


def _leave(code: int) -> NoReturn:
    """Ends as an interpreter does: threads, what was registered, and no more."""
    try:
        threading._shutdown()  # what Python itself calls here
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _become(words: Sequence[str], folder: Path, ends: list[int], file_bytes: int | None) -> None:
    """Turns a fork into `python -m surgvista_jax WORDS`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):  # which nohup would have ignored
        signal.signal(number, signal.SIG_DFL)
    for number, end in enumerate([os.open(os.devnull, os.O_RDONLY), *ends]):
        os.dup2(end, number)
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)
    # As Python has them: what is said of an error is not held back.
    sys.stderr = sys.__stderr__ = open(2, "w", 1, closefd=False, errors="backslashreplace")
    os.chdir(folder)
    if file_bytes is not None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    sys.argv = ["surgvista", *words]
    runpy.run_module("surgvista_jax", run_name="__main__", alter_sys=True)


def _resident_gib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / 2**30


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
