"""Is a run that stands still told, by the process that is behind, and nothing else?"""

import queue
import threading
import time
import types

import jax
import numpy as np
import pytest

from surgvista_jax import stuck
from surgvista_jax.training import standstill
from surgvista_jax.training.hooks import Hook
from surgvista_jax.training.links import Member
from surgvista_jax.training.loop_config import LoopConfig
from surgvista_jax.training.standstill import Standstill, where
from surgvista_jax.training.watch import Place
from surgvista_jax.training.watchdog import watched
from tests.support.toy_run import Batches, metrics, train
from tests.training.test_watch import group  # noqa: F401, a fixture

MEMBERS = [Member(number, f"node{number}", 100 + number) for number in range(4)]
WAITS, COMPUTES = Place(11, "waiting for the data of step 12"), Place(12, "computing step 12")


@pytest.fixture
def said(monkeypatch):
    """What is said and the status that would end the process, as they come."""
    lines = queue.SimpleQueue()
    monkeypatch.setattr(standstill, "_say", lines.put)
    monkeypatch.setattr(stuck, "end_at_once", lines.put)
    return lines


def hanging(released):
    """Batches of which one comes when it is released."""
    return lambda start: Batches(start, at={11: lambda: released.wait(60)})


def test_a_hang_is_told_with_its_step_host_and_stacks_and_a_run_that_waits_goes_on(tmp_path, said):
    released = threading.Event()
    lines = []

    def listen():
        lines.append(said.get(timeout=60))
        released.set()

    listener = threading.Thread(target=listen)
    listener.start()
    batches = hanging(released)
    finished = train(tmp_path, make_batches=batches, patience=1, on_standstill="warn")
    listener.join()
    (line,) = lines
    own = f"process 0 ({standstill.socket.gethostname()}, pid {standstill.os.getpid()})"
    assert line.startswith("nothing has ended for ")
    assert f"{own} is waiting for the data of step 12; here the main thread is in " in line
    assert "called by surgvista_jax/training/feed.py:" in line and "on_standstill=warn" in line
    assert said.get(timeout=5).startswith("the run goes on: it stood still for ")
    stacks = (tmp_path / "standstill.txt").read_text()
    assert own in stacks and "in _advance" in stacks and "test_standstill.py" in stacks
    other = train(tmp_path / "other")
    jax.tree.map(np.testing.assert_array_equal, finished.state, other.state)
    assert metrics(tmp_path, "loss") == metrics(tmp_path / "other", "loss")
    assert said.empty()


def test_a_hang_ends_the_process_with_its_own_status(tmp_path, said):
    with Standstill(0.1, "end", tmp_path) as still:
        still.ended()
        assert "ends with status 75: start all again" in said.get(timeout=20)
        assert said.get(timeout=20) == 75


def test_compiling_is_no_hang_nor_is_a_step_like_those_before(tmp_path, said):
    with Standstill(0.5, "warn", tmp_path) as still:
        standstill.alive()  # a batch has come, which is no step
        time.sleep(0.8)  # the first step compiles
        still.ended()
        time.sleep(0.4)
        still.ended()
        time.sleep(0.9)  # under three times as long
        still.ended()
        still.compiling()
        time.sleep(2.0)
        assert said.empty()


def test_a_step_that_was_compiled_is_no_measure_for_those_after_it(tmp_path, said):
    with Standstill(0.1, "warn", tmp_path) as still:
        time.sleep(5)
        still.ended()
        assert "nothing has ended" in said.get(timeout=10)


def test_an_evaluation_that_compiles_is_no_hang(tmp_path, said):
    with Standstill(0.5, "warn", tmp_path) as still:
        with standstill.compiling():
            pass
        time.sleep(0.8)  # the first step compiles
        still.ended()
        with standstill.compiling():
            time.sleep(1.2)
        assert said.empty()
        assert "nothing has ended" in said.get(timeout=20)


def test_saves_and_figures_one_after_the_other_are_no_hang(tmp_path, said):
    """Each has the patience of a step, however many there are between two steps."""

    slow = Hook(every=10, run=lambda step, state: time.sleep(0.6))
    assert train(tmp_path, hooks=[slow] * 4, patience=1) and said.empty()


def test_an_evaluation_that_goes_on_is_no_hang(tmp_path, said):
    with Standstill(1.5, "warn", tmp_path) as still:
        still.ended()
        for _ in range(10):
            time.sleep(0.25)
            standstill.alive()
        assert said.empty()


def test_what_follows_the_steps_is_watched_by_its_batches(tmp_path, said):
    """As an evaluation of the test videos, which may take many times as long as the patience."""
    config = LoopConfig(patience=1, on_standstill="warn")
    with watched(config, tmp_path, 8, "evaluating the test videos"):
        for batch in range(1, 8):
            time.sleep(0.3)
            standstill.evaluated(batch)
        assert said.empty()
        line = said.get(timeout=20)
        assert line.startswith("nothing has ended for ")
        assert "is evaluating the test videos, 7 batches done; here the main" in line
        standstill.evaluated(8)
        assert said.get(timeout=5).startswith("the run goes on")
    time.sleep(1.3)
    assert said.empty()


def test_an_evaluation_that_others_go_on_with_is_no_hang(tmp_path, said, group):  # noqa: F811
    """The first process has done its own clips, and waits for slower ones."""
    watches, _, _ = group(2)
    first, second = (
        Standstill(1.5, "warn", tmp_path, watch, number == 0)
        for number, watch in enumerate(watches)
    )
    with first, second:
        for still in (first, second):
            still.at(8, "evaluating the test videos")
        first.evaluated(99)
        first.ended()
        for batch in range(1, 10):
            second.evaluated(batch)
            time.sleep(0.25)
        assert said.empty()
        words = "process 1 (node1, pid 101) is evaluating the test videos, 9 batches done"
        assert f"{words}; the other one is further on and waits" in said.get(timeout=20)


def test_a_process_that_was_stopped_itself_has_not_hung(tmp_path, said, monkeypatch):
    """As where a scheduler suspends a job for hours."""
    ahead = [0.0]
    clock = types.SimpleNamespace(
        monotonic=lambda: time.monotonic() + ahead[0], strftime=time.strftime
    )
    monkeypatch.setattr(standstill, "time", clock)
    with Standstill(1, "warn", tmp_path) as still:
        still.ended()
        time.sleep(0.3)
        ahead[0] = 3600
        time.sleep(0.4)
        assert said.empty()


def test_all_processes_tell_who_is_behind_and_end(tmp_path, said, group):  # noqa: F811
    watches, ends, _ = group(3)
    stills = [
        Standstill(0.6, "end", tmp_path / str(number), watch, number == 0)
        for number, watch in enumerate(watches)
    ]
    for number, still in enumerate(stills):
        (tmp_path / str(number)).mkdir()
        still.__enter__()
        still.at(*(WAITS if number == 1 else COMPUTES)[:2])
        still.ended()
    lines = [said.get(timeout=20) for _ in range(6)]
    for still in stills:
        still.__exit__()
    behind = "process 1 (node1, pid 101) is waiting for the data of step 12"
    assert lines.count(75) == 3
    assert sum(f"{behind}; the other 2 are further on and wait" in str(line) for line in lines) == 3
    assert all((tmp_path / str(number) / "standstill.txt").exists() for number in range(3))
    assert all(end.empty() for end in ends)  # nobody is blamed for having died by it


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([COMPUTES], "process 0 (node0, pid 100) is computing step 12"),
        (
            [COMPUTES, COMPUTES],
            "all 2 processes are computing step 12, none of them behind: a device, or the network"
            " between them, hangs",
        ),
        (
            [COMPUTES, WAITS],
            "process 1 (node1, pid 101) is waiting for the data of step 12; the other one is"
            " further on and waits",
        ),
        (
            [COMPUTES, Place(12, "saving step 12")],
            "process 0 (node0, pid 100) is computing step 12 and process 1 (node1, pid 101) is"
            " saving step 12",
        ),
    ],
)
def test_who_is_behind_is_named(places, words):
    assert where(dict(zip(MEMBERS, places, strict=False))) == words


def test_of_two_hooks_the_process_that_is_at_the_first_is_behind(tmp_path, group):  # noqa: F811
    """However many batches it evaluated there; and so after the steps, in a block of its own."""
    watches, _, _ = group(2)

    def place(watch, hooks, evaluated):
        with Standstill(0, "warn", tmp_path, watch) as still:
            still.at(11, "waiting for the data of step 12")
            still.at(12, "computing step 12")
            for hook in hooks:
                still.at(12, f"busy with {hook}")
            still.evaluated(evaluated)
        return watch.place

    at_first, at_second = place(watches[0], ["one"], 5), place(watches[1], ["one", "two"], 0)
    behind = "process 0 (node0, pid 100) is busy with one, 5 batches done; the other one is further"
    assert where(dict(zip(MEMBERS, (at_first, at_second), strict=False))).startswith(behind)
    with Standstill(0, "warn", tmp_path, watches[1]) as still:
        still.at(12, "evaluating the test videos")
    after = watches[1].place
    assert where(dict(zip(MEMBERS, (at_second, after), strict=False))).startswith("process 0 (")


def test_what_is_done_about_it_is_one_of_two():
    with pytest.raises(ValueError, match="on_standstill"):
        LoopConfig(on_standstill="restart")
