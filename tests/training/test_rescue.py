"""Errors and signals keep what is good: the steps since the last checkpoint are saved first."""

import os
import signal
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax import stuck
from surgvista_jax.errors import UserError
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.training.checkpoint_files import saved_steps
from surgvista_jax.training.feed import Feed
from surgvista_jax.training.loop import Hook
from surgvista_jax.training.preemption import Stopped, asked
from surgvista_jax.training.writers import MetricWriter
from surgvista_jax.writing import CannotWrite
from tests.support.toy_run import STEPS, Batches, metrics, toy_step, train

LOSS_KEYS = ("loss", "learning_rate", "skipped_steps", "unreadable_frames")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, train(folder)


def assert_goes_on_as_uninterrupted(folder, uninterrupted):
    other_folder, other = uninterrupted
    finished = train(folder)
    jax.tree.map(np.testing.assert_array_equal, finished.state, other.state)
    assert metrics(folder, *LOSS_KEYS) == metrics(other_folder, *LOSS_KEYS)


def steps(folder):
    return saved_steps(folder / "checkpoints")


def fail():
    raise UserError("a loader worker died")


@pytest.mark.parametrize("at", [0, 1, 12, 19])
def test_a_dead_loader_costs_no_step(tmp_path, uninterrupted, at, capsys):
    with pytest.raises(UserError, match="a loader worker died"):
        train(tmp_path, save_every=100, make_batches=lambda s: Batches(s, at={at: fail}))
    assert steps(tmp_path) == ([at] if at else [])
    assert (f"step {at} is saved" in capsys.readouterr().err) == bool(at)
    assert_goes_on_as_uninterrupted(tmp_path, uninterrupted)


@pytest.mark.parametrize("full_at", [5, 10, 20])
def test_a_full_disk_elsewhere_costs_neither_a_step_nor_a_line(
    tmp_path, uninterrupted, full_at, monkeypatch
):
    written = MetricWriter.scalars

    def full(self, step, values):
        if step == full_at:
            raise CannotWrite(self.folder, "No space left on device")
        written(self, step, values)

    monkeypatch.setattr(MetricWriter, "scalars", full)
    with pytest.raises(UserError, match="No space left"):
        train(tmp_path, save_every=100)
    monkeypatch.undo()
    assert full_at <= steps(tmp_path)[-1] <= full_at + 1  # the next step was under way
    assert_goes_on_as_uninterrupted(tmp_path, uninterrupted)


def test_an_error_of_what_looks_at_the_state_costs_no_step(tmp_path, uninterrupted):
    def draw(step, state):
        raise CannotWrite("figures", "Disk quota exceeded")

    with pytest.raises(UserError, match="quota"):
        train(tmp_path, save_every=100, hooks=[Hook(7, draw)])
    assert steps(tmp_path) == [7]
    assert_goes_on_as_uninterrupted(tmp_path, uninterrupted)


@pytest.mark.parametrize("part", ["params", "opt_state"])
def test_a_state_that_is_not_finite_is_not_saved(tmp_path, part):
    compiled = jax.jit(toy_step)

    def step(state, frozen, batch):
        state, values = compiled(state, frozen, batch)
        with jax.transfer_guard("allow"):
            bad = jax.tree.map(lambda x: x * jnp.nan, getattr(state, part))
            return state.replace(**{part: bad}), values

    with pytest.raises(UserError, match="died"):
        train(tmp_path, step=step, save_every=100, make_batches=lambda s: Batches(s, at={3: fail}))
    assert steps(tmp_path) == []


def test_a_step_that_cannot_be_computed_leaves_its_error_to_tell(tmp_path):
    compiled = jax.jit(toy_step, donate_argnums=0)

    def step(state, frozen, batch):
        compiled(state, frozen, batch)
        raise RuntimeError("out of memory on the device")  # and the state is given away

    with pytest.raises(RuntimeError, match="out of memory on the device"):
        train(tmp_path, step=step, save_every=100)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_are_seen_while_the_loader_hangs(tmp_path, uninterrupted, number):
    released = threading.Event()

    class Hanging(Batches):
        def close(self):
            super().close()
            released.set()

    def hang():
        threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
        assert released.wait(60)

    start = time.monotonic()
    finished = train(tmp_path, save_every=100, make_batches=lambda s: Hanging(s, at={8: hang}))
    assert finished.preempted and finished.step == 8 and steps(tmp_path) == [8]
    assert time.monotonic() - start < 20
    assert_goes_on_as_uninterrupted(tmp_path, uninterrupted)


def test_a_second_ctrl_c_stops_what_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(stuck, "_checks", [])
    released = threading.Event()

    class Hanging(Batches):
        def close(self):
            super().close()
            released.set()

    def interrupt_twice(step, state):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
        assert released.wait(60)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, save_every=100, make_batches=Hanging, hooks=[Hook(4, interrupt_twice)])
    assert steps(tmp_path) == []
    assert any(is_stuck() for is_stuck in stuck._checks)  # the end of the program waits for nothing


def test_a_feed_whose_closing_is_interrupted_keeps_no_program(monkeypatch):
    monkeypatch.setattr(stuck, "_checks", [])

    class Interrupted(Batches):
        def close(self):
            super().close()
            raise KeyboardInterrupt

    feed = Feed(Interrupted(0), jax.make_mesh((1,), ("data",)))
    with pytest.raises(KeyboardInterrupt):
        feed.close()
    assert any(is_stuck() for is_stuck in stuck._checks)


@pytest.mark.parametrize("at", [8, STEPS])
def test_an_evaluation_is_left_when_the_run_is_told_to_stop(tmp_path, uninterrupted, at):
    """On a saved state, so that the next start makes it up."""
    evaluated = []

    def evaluate(step, state):
        if step == at and not evaluated.count(at):
            evaluated.append(step)
            os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(2):
            if asked():
                raise Stopped
        evaluated.append(step)

    hooks = [Hook(4, evaluate, save_before=True, when_restored=True)]
    finished = train(tmp_path, save_every=100, hooks=hooks)
    assert finished.preempted and finished.step == at and steps(tmp_path)[-1] == at
    finished = train(tmp_path, hooks=hooks)
    assert not finished.preempted
    assert evaluated == [*range(4, at + 1, 4), *range(at, STEPS + 1, 4)]
    jax.tree.map(np.testing.assert_array_equal, restore_params(tmp_path), finished.state.params)
    jax.tree.map(np.testing.assert_array_equal, finished.state, uninterrupted[1].state)


def test_feeds_are_left_when_the_run_is_told_to_stop(tmp_path):
    """As those of an evaluation are, by whoever waits for them."""
    seen = []

    def evaluate(step, state):
        mesh = state.params["w"].sharding.mesh
        with Feed(Batches(0, at={2: lambda: os.kill(os.getpid(), signal.SIGTERM)}), mesh) as feed:
            for number in range(100):
                feed.take()
                seen.append(number)
                time.sleep(0.01)

    finished = train(tmp_path, hooks=[Hook(4, evaluate, save_before=True)])
    assert finished.preempted and finished.step == 4 and len(seen) < 100


def test_a_terminal_that_is_gone_ends_no_run(tmp_path, uninterrupted, monkeypatch):
    class Gone:
        encoding = "utf-8"

        def write(self, text):
            raise OSError(5, "Input/output error")

        flush = isatty = fileno = lambda self: self.write("")

    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", Gone())
        finished = train(tmp_path)
    assert finished.step == STEPS
    assert_goes_on_as_uninterrupted(tmp_path, uninterrupted)
