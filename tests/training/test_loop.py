"""The loop, with a toy step: exact resume, the order of things, and how faults end."""

import os
import signal
import time

import jax
import numpy as np
import pytest

from surgvista_jax.training import loop
from surgvista_jax.training.checkpoint import Checkpoints, restore_params
from surgvista_jax.training.loop import Hook, LoopConfig
from surgvista_jax.training.writers import MetricWriter
from tests.support.toy_run import STEPS, Batches, metrics, toy_step, train

LOSS_KEYS = ("loss", "learning_rate", "skipped_steps")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder and the end of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    finished = train(folder)
    assert (finished.step, finished.preempted) == (STEPS, False)
    return folder, finished


def assert_same_run(folder, finished, uninterrupted):
    other_folder, other = uninterrupted
    jax.tree.map(np.testing.assert_array_equal, finished.state, other.state)
    jax.tree.map(
        np.testing.assert_array_equal, restore_params(folder), restore_params(other_folder)
    )
    assert metrics(folder, *LOSS_KEYS) == metrics(other_folder, *LOSS_KEYS)


@pytest.mark.parametrize("stop_after", [10, 13], ids=["at a line", "between lines"])
def test_stopped_and_resumed_is_uninterrupted(tmp_path, uninterrupted, stop_after):
    finished = train(tmp_path, stop_after=stop_after)
    assert (finished.step, finished.preempted) == (stop_after, False)
    assert_same_run(tmp_path, train(tmp_path), uninterrupted)


def test_a_crash_is_resumed_from_the_last_checkpoint(tmp_path, uninterrupted):
    class Crash(Exception):
        pass

    def crash():
        raise Crash

    with pytest.raises(Crash):
        train(tmp_path, save_every=7, make_batches=lambda s: Batches(s, at={13: crash}))
    assert [line["step"] for line in metrics(tmp_path)] == [5, 10]  # 10 is done again
    assert_same_run(tmp_path, train(tmp_path, save_every=7), uninterrupted)


def test_sigterm_saves_where_it_stops_and_is_resumed(tmp_path, uninterrupted, capsys):
    def told():
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    finished = train(tmp_path, make_batches=lambda s: Batches(s, at={8: told}))
    assert finished.preempted and finished.step < STEPS
    assert signal.getsignal(signal.SIGTERM) is before
    assert (tmp_path / "checkpoints" / str(finished.step)).is_dir()
    assert f"stopped after step {finished.step}" in capsys.readouterr().err
    assert_same_run(tmp_path, train(tmp_path), uninterrupted)


def test_sigterm_that_kills_the_loader_too_still_saves(tmp_path, uninterrupted):
    def told_and_dead():
        time.sleep(0.5)  # until the loop waits for this batch
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("a loader worker is gone")

    finished = train(tmp_path, make_batches=lambda s: Batches(s, at={8: told_and_dead}))
    assert finished.preempted and (tmp_path / "checkpoints" / str(finished.step)).is_dir()
    assert_same_run(tmp_path, train(tmp_path), uninterrupted)


def test_every_loss_is_in_one_line(tmp_path, uninterrupted):
    train(tmp_path, log_every=1)
    losses = [line["loss"] for line in metrics(tmp_path, "loss")]
    assert len(losses) == STEPS
    means = [line["loss"] for line in metrics(uninterrupted[0], "loss")]
    np.testing.assert_allclose(means, np.reshape(losses, (-1, 5)).mean(axis=1), rtol=1e-12)


def test_the_order_within_a_step(tmp_path, monkeypatch):
    """Save and look at the state before the next step; read each step's metrics one step late."""
    events = []

    def noting(name, function, number):
        def noted(*args, **kwargs):
            events.append((name, number(*args, **kwargs)))
            return function(*args, **kwargs)

        return noted

    compiled = jax.jit(toy_step)
    dispatched = iter(range(1, STEPS + 1))
    step = noting("dispatch", compiled, lambda *_: next(dispatched))
    line = noting("line", MetricWriter.scalars, lambda self, step, values: step)
    monkeypatch.setattr(MetricWriter, "scalars", line)
    save = noting("save", Checkpoints.save, lambda self, step, *_, **__: step)
    monkeypatch.setattr(Checkpoints, "save", save)
    hook = Hook(8, lambda step, state: events.append(("hook", step, int(state.step))))
    train(tmp_path, log_every=1, save_every=8, step=step, hooks=[hook, Hook(0, None)])
    assert events[:2] == [("dispatch", 1), ("line", 1)]  # waits for the compilation
    at = events.index
    assert at(("dispatch", 5)) < at(("line", 4)) < at(("dispatch", 6)) < at(("line", 5))
    assert events[at(("dispatch", 8)) : at(("dispatch", 9))] == [
        ("dispatch", 8),
        ("line", 7),
        ("line", 8),
        ("save", 8),
        ("hook", 8, 8),
    ]
    assert events[-3:] == [("line", 20), ("save", 20), ("hook", 20, 20)]
    assert [event for event in events if event[0] == "hook"] == [
        ("hook", number, number) for number in (8, 16, 20)
    ]


def test_what_takes_long_is_begun_on_a_saved_state(tmp_path, uninterrupted):
    class Killed(Exception):
        pass

    def evaluate(step, state):
        if step == 8:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path, save_every=100, hooks=[Hook(4, evaluate, save_before=True)])
    assert {folder.name for folder in (tmp_path / "checkpoints").glob("[0-9]*")} == {"4", "8"}
    steps = []
    hooks = [Hook(6, lambda step, state: steps.append(step), save_before=True)]
    assert_same_run(tmp_path, train(tmp_path, hooks=hooks), uninterrupted)
    assert steps == [12, 18, 20]


def test_a_finished_run_started_again_does_nothing(tmp_path):
    train(tmp_path)
    before = metrics(tmp_path, *LOSS_KEYS)
    finished = train(tmp_path, hooks=[Hook(5, lambda *_: pytest.fail("hook"))])
    assert finished.step == STEPS and metrics(tmp_path, *LOSS_KEYS) == before


def test_a_hidden_transfer_in_the_step_is_refused(tmp_path):
    compiled = jax.jit(toy_step)

    def hidden(state, frozen, batch):
        return compiled(state, np.float32(2), batch)

    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        train(tmp_path, step=hidden)


def test_batches_that_end_early_are_an_error(tmp_path):
    def end():
        raise StopIteration

    with pytest.raises(RuntimeError, match="the batches end at step 7 of 20"):
        train(tmp_path, make_batches=lambda s: Batches(s, at={7: end}))


def test_lines_tell_speed_and_utilisation_where_the_peak_is_known(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loop, "peak_flops", lambda kind: 1e6)
    work = {"mfu": 3e3, "mfu_without_teacher": 1e3}
    train(tmp_path, flops_per_clip=work)
    keys = ("clips_per_second", "data_wait_share", *work)
    for line in metrics(tmp_path, *keys):
        assert line["clips_per_second"] > 0 and 0 <= line["data_wait_share"] <= 1
        # Eight devices of 1e6 operations a second.
        assert line["mfu"] == pytest.approx(line["clips_per_second"] * 3e3 / 8e6)
        assert line["mfu"] == pytest.approx(3 * line["mfu_without_teacher"])
    assert "step 20/20  loss " in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"log_every": 0}, {"max_bad_steps": 0}, {"progress": "loud"}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LoopConfig(**wrong)


def test_only_hooks_that_ask_for_it_are_called_for_a_restored_state(tmp_path):
    """A run may have been killed after it saved and before it evaluated what it saved."""
    train(tmp_path, stop_after=10)
    called = {True: [], False: []}
    hooks = [
        Hook(5, lambda step, state, again=again: called[again].append(step), when_restored=again)
        for again in called
    ]
    train(tmp_path, stop_after=15, hooks=hooks)
    assert called == {True: [10, 15], False: [15]}
    train(tmp_path / "fresh", stop_after=5, hooks=hooks[:1])  # nothing is evaluated at step 0
    assert called[True] == [10, 15, 5]
