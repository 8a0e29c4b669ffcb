"""Does the loader keep order, memory within bounds, and leave nothing behind, however it ends?"""

import contextlib
import functools
import gc
import multiprocessing
import os
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
    return [path.name for path in SHARED.glob(f"surgvista-{process or os.getpid()}-*")]


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
        assert len(leftovers()) <= 3 + 2 * 1


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

    def prefetching(read, num_rows, steps, config, sources):
        batches = steps.map(functools.partial(read, rows=slice(num_rows), empty=np.empty))
        batches = batches.to_iter_dataset(grain.ReadOptions(0, 0))
        sources.append(
            iter(grain.experimental.ThreadPrefetchIterDataset(batches, prefetch_buffer_size=1))
        )
        sources[0].start_prefetch()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loader_module, "_thread_source", prefetching)
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


def test_too_little_shared_memory_is_one_line():
    with BatchLoader(need_too_much, ROWS, 0, 9, LoaderConfig(workers=1, buffer=1)) as loader:
        with pytest.raises(UserError, match="no shared memory for another batch .*--shm-size"):
            next(loader)


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
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


@pytest.mark.parametrize("then", ["pass", "loader.close()"])
def test_the_end_of_a_program_is_silent(start, then):
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
