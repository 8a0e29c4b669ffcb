"""Many jobs in several processes, where a job may crash its process.

A damaged video can bring down the decoder, and the whole process with it.  The pool of the standard
library is then lost with all that it had still to do; here the job at fault is named and the others
go on.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

REPORT_SECONDS = 1.0


@dataclass(frozen=True)
class Crash:
    """Stands for the result of a job whose process died; `exit_code` is minus the signal."""

    exit_code: int

    def __str__(self) -> str:
        if self.exit_code == -signal.SIGKILL:
            return "the process that read it was killed; is there too little memory?"
        cause = f"signal {-self.exit_code}" if self.exit_code < 0 else f"exit {self.exit_code}"
        return f"the process that read it crashed ({cause}); re-encode it or leave it out"


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    job: int


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_each(
    function: Callable[[Any, Callable[[Any], None]], Any],
    jobs: Sequence[Any],
    num_workers: int,
    on_report: Callable[[int, Any], None] = lambda job, value: None,
) -> Generator[tuple[int, Any], None, None]:
    """Calls `function(job, report)` for each job, `num_workers` at a time; yields as they finish.

    The workers die with this process, however it dies, and print nothing.

    Args:
        function: importable by name; what it gives to `report` reaches `on_report`, at most once a
            second.
        jobs: picklable.
        num_workers: processes.
        on_report: called with the job's index and the reported value.

    Yields:
        (index of the job, its result or `Crash`).  An exception of `function` is raised here.
    """
    waiting = deque(range(len(jobs)))
    workers: list[_Worker] = []
    try:
        for _ in range(min(num_workers, len(jobs))):
            workers.append(_start(function))
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
                        worker = _start(function)
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


def _start(function: Callable) -> _Worker:
    # Not forked: a process that has threads, such as JAX's, cannot be forked safely.
    context = multiprocessing.get_context("spawn")
    pipe, far_end = context.Pipe()
    process = context.Process(target=_work, args=(function, far_end), daemon=True)
    # Where it starts, the tracker unblocks what is blocked.
    resource_tracker.ensure_running()
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    # Decoders write their complaints straight to the terminal, through the progress bar.
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    reported = time.monotonic()

    def report(value: Any) -> None:
        nonlocal reported
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            pipe.send(("report", value))

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


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
