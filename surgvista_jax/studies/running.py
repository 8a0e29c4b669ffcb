"""Runs the jobs of a study in processes, those first that others need; one that fails stops none.

What is done is told by the folders of the runs, so that whoever starts again goes on from there,
however the one before ended. The processes end when this one does, be it by SIGKILL: they save.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from surgvista_jax.errors import end_in_words
from surgvista_jax.studies.layout import LOGS
from surgvista_jax.studies.places import Place
from surgvista_jax.studies.plan import Job, Run
from surgvista_jax.studies.states import DONE, STALE, note_definition, state_of
from surgvista_jax.training.child import BEGIN

_TOLD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGTERM, -signal.SIGINT)


@dataclass
class Outcome:
    """How the runs of a study ended.

    Attributes:
        done: folders of those that are done, now or before.
        failed: folder -> why, in a line.
        statuses: folder -> that of the process or command, of those that failed.
        waiting: name of a job that was not begun -> for what.
        stopped: whether it was told to stop.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    stopped: bool = False


def run_jobs(
    jobs: Sequence[Job],
    asked: Sequence[Job],
    out: Path,
    places: Sequence[Place],
    tell: Callable[[str], None],
    package: str = "surgvista_jax",
) -> Outcome:
    """Runs jobs, as many at a time as there are places.

    Args:
        jobs: all of the study.
        asked: those of them that are to be run here.
        out: the study's folder.
        places: where processes run.
        tell: takes a line when a run begins, ends or fails.
        package: whose `__main__.main` runs a command.
    """
    return _Running(jobs, asked, out.absolute(), places, tell, package).run()


class _Process:
    """A process that runs commands in one place, and the job that it is at."""

    def __init__(self, place: Place, package: str):
        worker = ["surgvista_jax.studies.worker", package, *map(str, place.cores)]
        self.place, self.package = place, package
        # A group of its own: Ctrl-C in a terminal is for the parent, which passes it on.
        # And none comes before the worker is there to answer it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", BEGIN, str(os.getpid()), *worker],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **place.environment},
                process_group=0,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.job: Job | None = None
        self.runs: deque[Run] = deque()
        self.began = time.monotonic()
        self._heard = b""

    def give(self, out: Path) -> None:
        """Tells it of the first of its runs."""
        assert self.job is not None
        run = self.runs[0]
        note_definition(out, run)
        log = out / LOGS / f"{self.job.name}.log"
        told = {"words": run.words, "folder": str(out / run.folder), "log": str(log)}
        self.began = time.monotonic()
        pipe = self.popen.stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(told).encode() + b"\n")
            pipe.flush()
        except OSError:  # it died meanwhile, which is seen next
            pass

    def hear(self) -> Mapping[str, Any] | None:
        """Its answer as far as it is whole; {} where it has ended."""
        pipe = self.popen.stdout
        assert pipe is not None
        part = os.read(pipe.fileno(), 65536)
        if not part:
            return {}
        self._heard += part
        line, end, rest = self._heard.partition(b"\n")
        if not end:
            return None
        self._heard = rest
        return json.loads(line)

    def end(self) -> int:
        """Lets it end, and gives its status."""
        for pipe in (self.popen.stdin, self.popen.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # what it was told did not arrive
                pass
        return self.popen.wait()


class _Running:
    def __init__(
        self,
        jobs: Sequence[Job],
        asked: Sequence[Job],
        out: Path,
        places: Sequence[Place],
        tell: Callable[[str], None],
        package: str,
    ):
        self._jobs = {job.name: job for job in jobs}
        self._out, self._tell, self._package = out, tell, package
        self._outcome = Outcome()
        self._states = {run.folder: state_of(out, run) for job in jobs for run in job.runs}
        self._waiting = deque(job for job in asked if self._pending(job))
        self._outcome.done = [
            run.folder for job in asked for run in job.runs if self._is(run, DONE)
        ]
        self._left = sum(len(self._pending(job)) for job in self._waiting)
        self._free = deque(places)
        self._processes: dict[int, _Process] = {}  # by what its answers are read from
        self._selector = selectors.DefaultSelector()

    def run(self) -> Outcome:
        before = {number: signal.signal(number, self._told) for number in _TOLD if _heeds(number)}
        try:
            while True:
                self._begin()
                if not any(process.job for process in self._processes.values()):
                    break
                for key, _ in self._selector.select():
                    self._answered(self._processes[key.fd])
        finally:
            for process in list(self._processes.values()):
                if process.job is not None:  # after an error of this process
                    process.popen.terminate()
                self._dismiss(process)
            for number, handler in before.items():
                signal.signal(number, handler)
        for job in self._waiting:  # those come first that others wait for
            waiting = self._outcome.waiting
            above = next((name for name in job.needs if name in waiting), None)
            waiting[job.name] = waiting[above] if above else self._missing(job)
        return self._outcome

    def _told(self, number: int, frame: FrameType | None) -> None:
        self._outcome.stopped = True
        for process in list(self._processes.values()):
            process.popen.send_signal(number)

    def _is(self, run: Run, name: str) -> bool:
        return self._states[run.folder].name == name

    def _pending(self, job: Job) -> list[Run]:
        return [run for run in job.runs if not self._is(run, DONE) and not self._is(run, STALE)]

    def _missing(self, job: Job) -> str:
        """What a job waits for, in words; "" where it can begin."""
        for name in job.needs:
            for run in self._jobs[name].runs:
                if not self._is(run, DONE):
                    stale = " (stale)" if self._is(run, STALE) else ""
                    failed = " (failed)" if run.folder in self._outcome.failed else ""
                    return f"{run.folder}{stale}{failed}"
        return ""

    def _begin(self) -> None:
        """Gives idle processes what can begin."""
        idle = [process for process in self._processes.values() if process.job is None]
        while not self._outcome.stopped and (idle or self._free):
            job = next((job for job in self._waiting if not self._missing(job)), None)
            if job is None:
                return
            self._waiting.remove(job)
            if not self._is_left(job):
                continue
            process = idle.pop() if idle else self._start(self._free.popleft())
            process.job, process.runs = job, deque(self._pending(job))
            self._give(process)

    def _is_left(self, job: Job) -> bool:
        """Whether something of a job is still to do: others may run the same study elsewhere."""
        for run in self._pending(job):
            self._states[run.folder] = state_of(self._out, run)
            if self._is(run, DONE):
                self._left -= 1
                self._outcome.done.append(run.folder)
                self._tell(f"{run.folder}: was done elsewhere; {self._left} to go")
        return bool(self._pending(job))

    def _start(self, place: Place) -> _Process:
        process = _Process(place, self._package)
        assert process.popen.stdout is not None
        self._processes[process.popen.stdout.fileno()] = process
        self._selector.register(process.popen.stdout, selectors.EVENT_READ)
        if self._outcome.stopped:  # told while it began, which it has not heard
            process.popen.terminate()
        return process

    def _give(self, process: _Process) -> None:
        self._tell(f"{process.runs[0].folder}: begins{process.place.said}")
        process.give(self._out)

    def _answered(self, process: _Process) -> None:
        answer = process.hear()
        if answer is None:
            return
        if answer:
            self._ended(process, answer["code"], answer["said"], answer["ran"])
            if process.runs and not self._outcome.stopped:
                self._give(process)
                return
            process.job = None
            if not process.place.lasts or self._outcome.stopped:
                self._dismiss(process)
            return
        job, runs = process.job, process.runs
        code = self._dismiss(process)
        if job is None:
            return
        process.runs = runs
        self._ended(process, code, "")
        if runs and not self._outcome.stopped:
            other = self._start(self._free.popleft())
            other.job, other.runs = job, runs
            self._give(other)

    def _ended(self, process: _Process, code: int, said: str, ran: bool = True) -> None:
        """Notes how the first run of a process ended; `ran`: here."""
        run = process.runs.popleft()
        assert process.job is not None
        log = f"{LOGS}/{process.job.name}.log"
        self._states[run.folder] = state_of(self._out, run)
        seconds = time.monotonic() - process.began
        self._left -= 1
        if self._outcome.stopped or code in _STOPPED:
            self._outcome.stopped = True
        if code == 0 and self._is(run, DONE):
            self._outcome.done.append(run.folder)
            how = f"done in {seconds:.0f} s" if ran else "was done elsewhere"
            self._tell(f"{run.folder}: {how}; {self._left} to go")
        elif not self._outcome.stopped:
            why = end_in_words(code) if code else "ended, but not all is there that it leaves"
            why += f": {said}" if said else ""
            self._outcome.failed[run.folder] = f"{why}; {log} says more"
            self._outcome.statuses[run.folder] = code
            self._tell(f"{run.folder}: FAILED: {self._outcome.failed[run.folder]}")

    def _dismiss(self, process: _Process) -> int:
        """Ends a process, whose place is free then; its status."""
        assert process.popen.stdout is not None
        self._selector.unregister(process.popen.stdout)
        del self._processes[process.popen.stdout.fileno()]
        self._free.append(process.place)
        return process.end()


def _heeds(number: int) -> bool:
    """nohup has SIGHUP ignored, and means it."""
    return signal.getsignal(number) != signal.SIG_IGN
