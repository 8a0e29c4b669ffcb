"""Are all jobs done when some of them crash their process, and do workers end with their parent?"""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from surgvista_jax.data import workers
from surgvista_jax.data.workers import (
    REPORT_SECONDS,
    Crash,
    Streams,
    at_most_once_a_second,
    run_each,
)


def job(what, report):
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "exit":
        os._exit(3)
    if what == "raise":
        raise ValueError("a fault of ours")
    if what == "report":
        time.sleep(1.1 * REPORT_SECONDS)
        report(os.getpid())
    if what == "sleep":
        time.sleep(60)
    if what == "print":
        os.write(2, b"noise")
    return what, os.getpid()


def test_every_job_is_done_once():
    results = dict(run_each(job, list("abcdefg"), 2))
    assert {index: value for index, (value, _) in results.items()} == dict(enumerate("abcdefg"))
    assert len({process for _, process in results.values()}) <= 2
    assert os.getpid() not in {process for _, process in results.values()}


def test_a_crash_is_told_and_the_other_jobs_are_done(capfd):
    jobs = ["a", "crash", "b", "exit", "c", "print"]
    results = dict(run_each(job, jobs, 1))
    assert sorted(results) == list(range(6))
    assert results[1] == Crash(-signal.SIGSEGV) and "SIGSEGV" in str(results[1])
    assert results[3] == Crash(3) and "status 3" in str(results[3])
    assert [results[index][0] for index in (0, 2, 4, 5)] == ["a", "b", "c", "print"]
    assert "noise" not in capfd.readouterr().err


def masked(what, report):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_ctrl_c_is_kept_from_workers_from_their_first_moment():
    assert list(run_each(masked, ["x"], 1)) == [(0, True)]
    assert not masked("here", None)


def test_an_exception_reaches_the_caller():
    with pytest.raises(ValueError, match="a fault of ours"):
        list(run_each(job, ["raise"], 1))


def test_reports_come_at_most_once_a_second():
    second, sent = 5.0, []
    report = at_most_once_a_second(sent.append, lambda: second)
    for second in (5.0, 5.5, 6.0, 6.25, 6.75, 8.5, 9.25, 9.5):  # noqa: B007  # the clock's
        report(second)
    assert sent == [6.0, 8.5, 9.5]


def test_a_report_reaches_the_caller_with_its_job():
    reports = []
    list(run_each(job, ["a", "report"], 1, lambda index, value: reports.append((index, value))))
    assert [index for index, _ in reports] == [1] and reports[0][1] != os.getpid()


def test_without_jobs_no_process_starts():
    assert list(run_each(job, [], 4)) == []


def test_workers_end_when_their_parent_is_killed():
    program = (
        "import sys, time\n"
        "from surgvista_jax.data.workers import run_each\n"
        "from tests.data import test_workers\n"
        "if __name__ == '__main__':\n"
        "    for _, (_, process) in run_each(test_workers.job, ['a', 'sleep'], 1):\n"
        "        print(process, flush=True)\n"
    )
    paths = os.pathsep.join(filter(None, sys.path))
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with parent:
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)  # it is there
        parent.kill()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        with open(f"/proc/{worker}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                return  # ended, and only not yet reaped by the system's first process
        time.sleep(0.05)
    raise AssertionError("the worker outlives its parent")


def stream(what):
    """Gives as many values as it is told, and then what `job` does."""
    yield from range(what[0])
    job(what[1], None)


def test_streams_give_the_values_of_each_job_in_order_and_what_came_before_a_crash():
    streams = Streams(stream, [(2, ""), (1, "crash"), (0, ""), (2, "raise")])
    found = []
    with pytest.raises(ValueError, match="a fault of ours"):
        while True:
            found.append(next(streams))
    streams.close()
    assert found == [(0, 0), (0, 1), (1, 0), (1, Crash(-signal.SIGSEGV)), (3, 0), (3, 1)]


def large(path):
    """Notes each value before it is given; none fits a pipe's buffer."""
    for _ in range(50):
        with open(path, "ab") as file:
            file.write(b".")
        yield bytes(2**20)


def test_a_stream_stands_still_while_nobody_takes_from_it(tmp_path):
    streams = Streams(large, [tmp_path / "first"])
    for taken in range(1, 6):
        assert next(streams)[0] == 0
        assert (tmp_path / "first").stat().st_size <= taken + 1
    waiting = threading.Thread(target=lambda: list(streams))
    streams.close()
    waiting.start()  # whoever takes from a closed one gets no more
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_process_that_starts_while_streams_are_closed_is_ended_too(monkeypatch):
    start, started = workers._start, []
    streams = Streams(stream, [(1, ""), (1, "")])
    closing = threading.Thread(target=streams.close)

    def start_while_it_is_closed(*given):
        started.append(start(*given))
        closing.start()
        closing.join(0.5)  # as far as it comes: it has to wait for this one
        return started[-1]

    monkeypatch.setattr(workers, "_start", start_while_it_is_closed)
    assert list(streams) == []
    closing.join(60)
    (worker,) = started
    try:
        assert not worker.process.is_alive() and worker.pipe.closed
    finally:
        worker.process.terminate()
