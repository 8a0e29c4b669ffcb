"""Does the loader keep order, memory within bounds, and leave nothing behind, however it ends?"""

import contextlib
import functools
import gc
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import grain
import numpy as np
import pytest

from surgvista_jax.data.batches import loader as loader_module
from surgvista_jax.data.batches.loader import BatchLoader, LoaderConfig
from surgvista_jax.errors import UserError
from tests.support.places import ROOT

# Processes are started and killed here: their shared memory is /dev/shm on Linux.
SHARED = Path("/dev/shm")
WORKERS = [LoaderConfig(workers=workers, buffer=1) for workers in (0, 2)]


ROWS = 3
RELEASED = threading.Event()


def read(step, rows, empty):
    """Rows that tell their step, their number and who made them."""
    numbers = np.arange(ROWS)[rows]
    video = empty((len(numbers), 50, 50), np.uint8)
    video[:] = 10 * step + numbers[:, None, None]
    process = np.full(len(numbers), os.getpid())
    return {"video": video, "row": numbers, "process": process}


def fail_at_three(step, rows, empty):
    batch = read(step, rows, empty)
    if step == 3:
        raise UserError("step 3 cannot be read")
    return batch


def die_at_one(step, rows, empty):
    if step == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(step, rows, empty)


def hang_at_two(step, rows, empty):
    """As a read from a server that is gone; in a worker, until it is killed."""
    if step == 2:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        RELEASED.wait(60)
    return read(step, rows, empty)


def need_too_much(step, rows, empty):
    return {"video": empty((rows.stop, shutil.disk_usage(SHARED).total), np.uint8)}


def assert_steps(batches, steps):
    assert len(batches) == len(steps)
    for batch, step in zip(batches, steps, strict=True):
        assert batch["row"].tolist() == list(range(ROWS))
        rows = 10 * step + np.arange(ROWS)
        np.testing.assert_array_equal(batch["video"], np.tile(rows[:, None, None], (1, 50, 50)))


def leftovers(process: int | None = None) -> list[str]:
    """The shared memory of loaders of a process, of this one if none is named."""
    return [path.name for path in SHARED.glob(f"*surgvista-{process or os.getpid()}-*")]


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert not multiprocessing.active_children()
    assert not leftovers()


@pytest.mark.parametrize("config", WORKERS, ids=str)
def test_batches_come_in_order_once(config):
    with BatchLoader(read, ROWS, 3, 11, config) as loader:
        batches = list(loader)
        assert list(loader) == []
    assert_steps(batches, range(3, 11))
    processes = {int(number) for batch in batches for number in batch["process"]}
    assert len(processes) == max(1, config.workers)
    assert (os.getpid() in processes) == (config.workers == 0)


def test_no_more_workers_than_rows():
    with BatchLoader(read, ROWS, 0, 4, LoaderConfig(workers=9, buffer=1)) as loader:
        batches = list(loader)
    assert_steps(batches, range(4))
    assert len(set(batches[0]["process"])) == ROWS


@pytest.mark.parametrize("config", WORKERS, ids=str)
def test_no_steps_make_no_batches(config):
    with BatchLoader(read, ROWS, 5, 3, config) as loader:
        assert list(loader) == []


@pytest.mark.parametrize("taken", [0, 3])
@pytest.mark.parametrize("config", WORKERS, ids=str)
def test_closing_early_leaves_nothing_and_batches_stay(config, taken):
    loader = BatchLoader(read, ROWS, 0, 1000, config)
    batches = [next(loader) for _ in range(taken)]
    loader.close()
    loader.close()
    assert not multiprocessing.active_children()
    assert_steps(batches, range(taken))
    with pytest.raises(ValueError, match="closed"):
        next(loader)


def test_workers_start_before_the_first_batch_is_asked_for():
    with BatchLoader(read, ROWS, 0, 1000, LoaderConfig(workers=2, buffer=1)):
        deadline = time.monotonic() + 20
        while len(multiprocessing.active_children()) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(multiprocessing.active_children()) == 2


def test_a_forgotten_loader_closes_itself():
    loader = BatchLoader(read, ROWS, 0, 1000, LoaderConfig(workers=1, buffer=1))
    next(loader)
    gone = weakref.ref(loader)
    del loader
    gc.collect()
    assert gone() is None
    assert not multiprocessing.active_children()


def test_memory_is_bounded_by_threads_and_buffer():
    lock, made = threading.Lock(), []

    def count(step, rows, empty):
        with lock:
            made.append(step)
        return read(step, rows, empty)

    with BatchLoader(count, ROWS, 0, 1000, LoaderConfig(threads=3, buffer=2)) as loader:
        time.sleep(0.3)
        assert sorted(made) == list(range(6))
        next(loader)
        time.sleep(0.3)
        assert sorted(made) == list(range(7))


def test_memory_is_bounded_by_workers_and_buffer():
    with BatchLoader(read, ROWS, 0, 1000, LoaderConfig(workers=2, buffer=1)) as loader:
        next(loader)
        time.sleep(1.5)
        assert len(leftovers()) <= 3 + 2 * 1 + 1  # and the file that stands for them


@pytest.mark.parametrize("config", WORKERS, ids=str)
def test_a_fault_while_reading_reaches_the_caller_in_its_turn(config):
    with BatchLoader(fail_at_three, ROWS, 0, 9, config) as loader:
        assert_steps([next(loader) for _ in range(3)], range(3))
        with pytest.raises(UserError) as error:
            next(loader)
    assert str(error.value) == "step 3 cannot be read"


def test_an_interrupt_at_any_moment_leaves_a_loader_that_closes(monkeypatch):
    """An alarm stands for Ctrl-C, many times: it must never leave a queue that is waited for.

    What workers send comes through grain's prefetching thread; here, without them, so does a batch.
    """

    def prefetching(read, num_rows, steps, threads, buffer, sources):
        batches = steps.map(functools.partial(read, rows=slice(num_rows), empty=np.empty))
        batches = batches.to_iter_dataset(grain.ReadOptions(0, 0))
        sources.append(
            iter(grain.experimental.ThreadPrefetchIterDataset(batches, prefetch_buffer_size=1))
        )
        sources[0].start_prefetch()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loader_module, "in_threads", prefetching)
    before = signal.signal(signal.SIGALRM, interrupt)
    rng = np.random.default_rng(0)
    try:
        for _ in range(250):
            loader = BatchLoader(read, ROWS, 0, 10**6, LoaderConfig(workers=0, buffer=1))
            next(loader)
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0005, 0.005))
                for _ in loader:
                    pass
            closing = threading.Thread(target=loader.close, daemon=True)
            closing.start()
            closing.join(10)
            assert not closing.is_alive()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_worker_that_dies_is_one_line():
    with BatchLoader(die_at_one, ROWS, 0, 9, LoaderConfig(workers=1, buffer=1)) as loader:
        with pytest.raises(UserError, match=r"worker died .*exit code -9.*loader\.workers"):
            for _ in range(2):
                next(loader)


def test_too_little_shared_memory_is_one_line_with_what_is_needed_and_there():
    with BatchLoader(need_too_much, ROWS, 0, 9, LoaderConfig(workers=1, buffer=1)) as loader:
        words = (
            r"no shared memory for another batch .*: a batch takes [\d.e+]+ GB, up to 6 of them lie"
            r" there \([\d.e+]+ GB\), and [\d.e+]+ GB of its [\d.e+]+ GB are free: .*--shm-size"
        )
        with pytest.raises(UserError, match=words):
            next(loader)


@pytest.mark.parametrize("config", WORKERS, ids=str)
def test_a_read_that_hangs_is_given_up_and_closed_quickly(config, monkeypatch):
    # Grain looks once a second whether a worker lives.
    monkeypatch.setattr(loader_module, "_CLOSE_SECONDS", 3.0 if config.workers else 0.2)
    RELEASED.clear()
    notes = []
    monkeypatch.setattr("surgvista_jax.stuck.note", notes.append)
    try:
        with BatchLoader(hang_at_two, ROWS, 0, 9, config) as loader:
            assert_steps([next(loader), next(loader)], range(2))  # the workers have started
            loader._patience = 1.5
            with pytest.raises(UserError, match="no batch came for 1.5 s .*patience.*stuck"):
                next(loader)
            before = time.monotonic()
            loader.close()
            assert time.monotonic() - before < 10
        # A thread cannot be killed: the program is told.
        assert [is_stuck() for is_stuck in notes] == ([] if config.workers else [True])
    finally:
        RELEASED.set()
    deadline = time.monotonic() + 10
    while any(is_stuck() for is_stuck in notes) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(is_stuck() for is_stuck in notes)


@pytest.mark.parametrize("config", WORKERS, ids=str)
def test_closing_that_is_interrupted_keeps_no_program(config, monkeypatch):
    """A second Ctrl-C: workers are killed at once, and a thread that is stuck is told."""
    RELEASED.clear()
    notes = []
    monkeypatch.setattr("surgvista_jax.stuck.note", notes.append)
    loader = BatchLoader(hang_at_two, ROWS, 1, 9, config)
    next(loader)
    workers = multiprocessing.active_children()
    assert len(workers) == config.workers

    def interrupt(seconds):
        raise KeyboardInterrupt

    try:
        loader._collector.join = interrupt
        with pytest.raises(KeyboardInterrupt):
            loader.close()
        assert [is_stuck() for is_stuck in notes] == [True]
        for worker in workers:
            worker.join(10)
            assert worker.exitcode == -signal.SIGKILL
    finally:
        RELEASED.set()
    del loader._collector.join
    loader._collector.join(10)
    loader._collector.end()


def test_workers_of_another_loader_are_never_taken_for_ones_own(monkeypatch):
    """Not even where a loader has given up waiting for its own to appear."""
    config = LoaderConfig(workers=1, buffer=1)
    with BatchLoader(read, ROWS, 0, 100, config) as one:
        next(one)
        (worker,) = one._collector._workers
        other = BatchLoader(read, ROWS, 0, 100, config)
        next(other)
        other._collector._before.discard(worker)  # as if it had started later
        assert worker not in other._collector._own_children()
        monkeypatch.setattr(one._collector, "_workers", [])
        assert other._collector._own_children() == []
        monkeypatch.undo()
        other.close()
        assert worker.is_alive()


def test_a_closed_loader_that_never_found_its_workers_hides_no_others(monkeypatch):
    config = LoaderConfig(workers=1, buffer=1)
    with BatchLoader(read, ROWS, 0, 100, config) as closed:
        next(closed)
    monkeypatch.setattr(closed._collector, "_workers", [])
    with BatchLoader(read, ROWS, 0, 100, config) as loader:
        next(loader)
        assert loader._collector._workers == multiprocessing.active_children()


def test_whoever_waits_for_a_batch_of_a_closed_loader_is_told(monkeypatch):
    monkeypatch.setattr(loader_module, "_CLOSE_SECONDS", 0.2)
    RELEASED.clear()
    loader = BatchLoader(hang_at_two, ROWS, 2, 9, LoaderConfig(workers=0))
    said = []

    def wait():
        try:
            next(loader)
        except ValueError as error:
            said.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        loader.close()
        thread.join(10)
        assert said == ["the loader is closed"]
    finally:
        RELEASED.set()


def test_more_workers_than_files_may_be_open_is_one_line(monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr("resource.getrlimit", lambda which: (256, 256))
    with pytest.raises(UserError, match=r"90 loader workers need about \d+ open files .* 256 .*-n"):
        BatchLoader(read, 100, 0, 9, LoaderConfig(workers=90))
    monkeypatch.undo()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


PROGRAM = """
import multiprocessing, os, sys, time
sys.path[:0] = {path!r}
from surgvista_jax.data.batches.loader import BatchLoader, LoaderConfig
from tests.data.batches.test_loader import ROWS, read

if __name__ == "__main__":
    loader = BatchLoader(read, ROWS, 0, 10**6, LoaderConfig(workers=2, buffer=1))
    batch = next(loader)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    {then}
"""


STUCK = """
import sys, time
sys.path[:0] = {path!r}
from surgvista_jax import stuck
from surgvista_jax.data.batches import loader
from tests.data.batches.test_loader import ROWS, hang_at_two

loader._CLOSE_SECONDS = 0.1
batches = loader.BatchLoader(hang_at_two, ROWS, 2, 9, loader.LoaderConfig())
time.sleep(0.5)
batches.close()
print("said")
stuck.leave(3)
"""


@pytest.fixture
def start(tmp_path):
    """Starts a program that has taken a batch; returns it and the ids of its workers."""
    programs, processes = [], []

    def start(then: str):
        file = tmp_path / "program.py"
        here = [str(ROOT)]
        file.write_text(PROGRAM.format(path=here, then=then))
        program = subprocess.Popen(
            [sys.executable, "-W", "error", file],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        programs.append(program)
        workers = [int(word) for word in program.stdout.readline().split()]
        processes.extend([program.pid, *workers])
        return program, workers

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    for program in programs:
        program.communicate()


def wait_until_gone(pids, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return
        time.sleep(0.05)
    raise AssertionError(f"processes {pids} still run")


WAIT = "for batch in loader: time.sleep(0.01)"


def test_what_a_killed_group_left_is_removed_at_the_next_start_and_nothing_else(start):
    killed, _ = start(WAIT)
    living, _ = start(WAIT)
    while not leftovers(killed.pid):
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert len(leftovers(killed.pid)) > 1
    with BatchLoader(read, ROWS, 0, 9, LoaderConfig(workers=0)):
        assert not leftovers(killed.pid)
        assert leftovers(living.pid)
    assert living.poll() is None


def test_a_stuck_thread_does_not_keep_a_program_from_its_end(tmp_path):
    """Python waits for the threads of a pool at the end of a program, for ever."""
    code = STUCK.format(path=[str(ROOT)])
    words = [sys.executable, "-c", code]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "said\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_parent_and_workers(start, number):
    """To the whole group, as Ctrl-C and schedulers send it; SIGKILL to the parent alone."""
    program, workers = start(WAIT)
    assert len(workers) == 2
    before = time.monotonic()
    (os.kill if number == signal.SIGKILL else os.killpg)(program.pid, number)
    _, errors = program.communicate(timeout=20)
    wait_until_gone(workers)
    assert not leftovers(program.pid)
    assert time.monotonic() - before < 20
    assert program.returncode == -number
    if number == signal.SIGINT:  # nothing but the parent's own KeyboardInterrupt
        assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")


GO_ON = """
    import signal
    signal.signal(signal.SIGHUP, lambda *told: None)
    os.killpg(0, signal.SIGHUP)
    time.sleep(0.2)
    next(loader)
    loader.close()
"""


@pytest.mark.parametrize("then", ["pass", GO_ON], ids=["exit", "close"])
def test_the_end_of_a_program_is_silent(start, then):
    """Also where a terminal was closed in the midst, and the program went on."""
    program, workers = start(then)
    _, errors = program.communicate(timeout=20)
    wait_until_gone(workers)
    assert not leftovers(program.pid)
    assert (program.returncode, errors) == (0, "")


def test_workers_need_neither_jax_nor_flax():
    """grain takes jax where it finds it; our modules must do without."""
    code = (
        "import sys; sys.modules['jax'] = sys.modules['flax'] = None;"
        "import surgvista_jax.data.batches.masked, surgvista_jax.data.batches.labelled"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize(("key", "value"), [("workers", -1), ("threads", 0), ("buffer", 1.5)])
def test_a_wrong_loader_setting_is_named(key, value):
    with pytest.raises(ValueError, match=rf"^{key}={value}: should be a whole number"):
        LoaderConfig(**{key: value})
