"""Many jobs in several processes, where a job may crash its process.

A damaged video can bring down the decoder, and the whole process with it.  The pool of the standard
library is then lost with all that it had still to do; here the job at fault is named and the others
go on.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from surgvista_jax.data.tracker import start_tracker
from surgvista_jax.errors import UserError, end_in_words

REPORT_SECONDS = 1.0


@dataclass(frozen=True)
class Crash:
    """Stands for the result of a job whose process died; `exit_code` is minus the signal."""

    exit_code: int

    def __str__(self) -> str:
        said = f"the process that read it {end_in_words(self.exit_code)}"
        return said + "; re-encode it or leave it out" * (self.exit_code != -signal.SIGKILL)


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    job: int


def at_most_once_a_second(
    send: Callable[[Any], None], now: Callable[[], float] = time.monotonic
) -> Callable[[Any], None]:
    """A function that hands on what it is given, unless it began or did so within a second.

    Args:
        send: takes what is handed on.
        now: tells the second that it is.
    """
    reported = now()

    def report(value: Any) -> None:
        nonlocal reported
        second = now()
        if second - reported >= REPORT_SECONDS:
            reported = second
            send(value)

    return report


def run_each(
    function: Callable[[Any, Callable[[Any], None]], Any],
    jobs: Sequence[Any],
    num_workers: int,
    on_report: Callable[[int, Any], None] = lambda job, value: None,
    aloud: bool = False,
) -> Generator[tuple[int, Any], None, None]:
    """Calls `function(job, report)` for each job, `num_workers` at a time; yields as they finish.

    The workers die with this process, however it dies.

    Args:
        function: importable by name; what it gives to `report` reaches `on_report`, at most once a
            second.
        jobs: picklable.
        num_workers: processes.
        on_report: called with the job's index and the reported value.
        aloud: what workers say is seen on standard error, such as the stack of a crash.

    Yields:
        (index of the job, its result or `Crash`).  An exception of `function` is raised here.
    """
    work = _work_aloud if aloud else _work
    waiting = deque(range(len(jobs)))
    workers: list[_Worker] = []
    try:
        for _ in range(min(num_workers, len(jobs))):
            workers.append(_start(function, work))
            _give(workers[-1], waiting, jobs)
        while busy := {worker.pipe: worker for worker in workers if worker.job >= 0}:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                worker = busy[ready]
                job = worker.job
                try:
                    kind, value = ready.recv()
                except (EOFError, ConnectionResetError):
                    worker.process.join()
                    ready.close()
                    kind, value = "result", Crash(worker.process.exitcode or 0)
                    workers.remove(worker)
                    if waiting:
                        worker = _start(function, work)
                        workers.append(worker)
                if kind == "report":
                    on_report(job, value)
                    continue
                if kind == "raised":
                    raise value
                _give(worker, waiting, jobs)
                yield job, value
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()


class Streams(Iterator[tuple[int, Any]]):
    """What a generator function gives for each job, from processes that work ahead.

    They stand still while nobody takes what they give, and die with this process.

    Args:
        function: importable by name; called with a job.
        jobs: picklable.
        ahead: jobs at a time: the one whose values are taken, and those after it.
        patience: seconds without a value after which a process is given up as stuck.

    Yields:
        (index of the job, a value), in the order of the jobs; a `Crash` as the last value of a job
        whose process died. An exception of `function` is raised here.
    """

    def __init__(
        self,
        function: Callable[[Any], Iterator[Any]],
        jobs: Sequence[Any],
        ahead: int = 2,
        patience: float = 1800.0,
    ):
        self._function, self._jobs, self._ahead = function, jobs, ahead
        self._patience = patience
        self._current = 0
        self._workers: dict[int, _Worker] = {}  # by the number of their next job, modulo `ahead`
        self._closed = False
        self._changing = threading.Lock()  # of the processes: one that starts is known when closed
        self._taking = threading.Lock()

    def __next__(self) -> tuple[int, Any]:
        with self._taking:
            return self._take()

    def _take(self) -> tuple[int, Any]:
        while not self._closed and self._current < len(self._jobs):
            for job in range(self._current, min(self._current + self._ahead, len(self._jobs))):
                self._begin(job)
            job, worker = self._current, self._workers.get(self._current % self._ahead)
            if worker is None or self._closed:
                break  # though its process may have begun, and even have said something
            try:
                if not worker.pipe.poll(self._patience):
                    raise UserError(
                        f"nothing could be read for {self._patience:g} s: reading is stuck; does"
                        " the disk of the videos still answer?"
                    )
                kind, value = worker.pipe.recv()
            except (EOFError, OSError):
                if self._closed:
                    break
                with self._changing:
                    del self._workers[job % self._ahead]
                worker.process.join()
                worker.pipe.close()
                kind, value = "crash", Crash(worker.process.exitcode or 0)
            if kind == "raised":
                raise value
            if kind != "value":
                self._current += 1
            if kind != "end":
                return job, value
        raise StopIteration

    def close(self) -> None:
        """Ends the processes, also while another thread waits for a value."""
        self._closed = True
        with self._changing:
            workers = list(self._workers.values())
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
        with self._taking:  # who waits for a value has seen by now that its process ended
            for worker in workers:
                worker.pipe.close()

    def _begin(self, job: int) -> None:
        """Lets a process begin a job, unless it has."""
        place = job % self._ahead
        with self._changing:
            if self._closed:
                return
            if place not in self._workers:
                self._workers[place] = _start(self._function, _work_on_streams)
            worker = self._workers[place]
        if worker.job < job:
            worker.job = job
            with contextlib.suppress(OSError):  # it has died, which is seen where it is waited for
                worker.pipe.send(self._jobs[job])


def _start(function: Callable, work: Callable[[Callable, Connection], None]) -> _Worker:
    # Not forked: a process that has threads, such as JAX's, cannot be forked safely.
    context = multiprocessing.get_context("spawn")
    start_tracker()
    pipe, far_end = context.Pipe()
    process = context.Process(target=work, args=(function, far_end), daemon=True)
    # The worker inherits the mask: Ctrl-C would be a traceback there while Python starts.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    far_end.close()
    return _Worker(process, pipe, job=-1)


def _give(worker: _Worker, waiting: deque[int], jobs: Sequence[Any]) -> None:
    worker.job = waiting.popleft() if waiting else -1
    if worker.job >= 0:
        try:
            worker.pipe.send(jobs[worker.job])
        except OSError:
            pass  # the worker has died; `run_each` sees that when it waits for the result


def _work(function: Callable, pipe: Connection) -> None:
    _silence()
    _work_aloud(function, pipe)


def _work_aloud(function: Callable, pipe: Connection) -> None:
    _settle()
    report = at_most_once_a_second(lambda value: pipe.send(("report", value)))
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            message = ("result", function(job, report))
        except Exception as error:  # raised again by `run_each`, in the parent
            message = ("raised", error)
        pipe.send(message)


def _work_on_streams(function: Callable, pipe: Connection) -> None:
    _silence()
    _settle()
    with contextlib.suppress(EOFError):
        while True:
            job = pipe.recv()
            message: tuple[str, Any] = ("end", None)
            try:
                for value in function(job):
                    pipe.send(("value", value))
            except Exception as error:  # raised again by `Streams`, in the parent
                message = ("raised", error)
            pipe.send(message)


def _settle() -> None:
    """Makes this process one that follows its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # By which the parent ends it, whatever the thread that started it had blocked.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    faulthandler.enable()


def _silence() -> None:
    # Decoders write their complaints straight to the terminal, through the progress bar.
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
