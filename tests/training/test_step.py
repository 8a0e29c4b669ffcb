"""What does one update do to the parameters, their moments and their running mean?"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from surgvista_jax.training.state import initial_state
from surgvista_jax.training.step import make_train_step

START = {"kernel": jnp.array([1.0, -2.0, 3.0])}


def loss(params, frozen, batch, key, average):
    """Its gradient is the mean of a batch plus what is frozen."""
    return (params["kernel"] * (batch["x"].mean(0) + frozen)).sum(), {}


def run(batches, *, average=0.0, accumulate=1, frozen=0.0, momentum=0.0):
    optimizer = optax.trace(momentum)
    step = make_train_step(
        loss,
        optimizer,
        lambda number: 0.1 * (number + 1.0),
        accumulate=accumulate,
        seed=0,
        average=average,
    )
    state = initial_state(START, optimizer, average=average > 0)
    states = []
    for x in batches:
        state, metrics = jax.jit(step)(state, jnp.full(3, frozen), {"x": jnp.asarray(x)})
        states.append((state, metrics))
    return states


def batches(steps=4):
    return np.random.default_rng(0).normal(size=(steps, 4, 3)).astype(np.float32)


def test_the_running_mean_is_that_of_its_definition():
    """m <- decay m + (1 - decay) p, from the first parameters on, and p is left alone.

    The decay is (1 + n) / (10 + n) in update n until it reaches the one asked for.
    """
    x = batches()
    params = mean = np.asarray(START["kernel"], np.float64)
    for number, (state, _) in enumerate(run(x, average=0.2, frozen=0.5)):
        decay = (0.1, 2 / 11, 0.2, 0.2)[number]
        params = params - 0.1 * (number + 1) * (x[number].mean(0) + 0.5)
        mean = decay * mean + (1 - decay) * params
        np.testing.assert_allclose(state.params["kernel"], params, rtol=1e-5)
        np.testing.assert_allclose(state.average["kernel"], mean, rtol=1e-5)
    without = run(x, frozen=0.5)[-1][0]
    np.testing.assert_array_equal(without.params["kernel"], state.params["kernel"])
    assert without.average is None and without.evaluated is without.params
    assert state.evaluated is state.average


def test_a_loss_may_learn_from_the_running_mean():
    """As from a teacher: it sees the mean over the updates before, and gives it no gradient."""

    def follow(params, frozen, batch, key, average):
        return ((params["kernel"] - average["kernel"]) * batch["x"].mean(0)).sum(), {
            "distance": jnp.abs(params["kernel"] - average["kernel"]).sum()
        }

    optimizer = optax.scale(1.0)
    step = jax.jit(
        make_train_step(follow, optimizer, lambda number: 0.1, accumulate=1, seed=0, average=0.9)
    )
    state = initial_state(START, optimizer, average=True)
    x = jnp.ones((1, 3))
    before, metrics = step(state, {}, {"x": x})
    assert metrics["distance"] == 0  # the mean begins where the parameters do
    after, metrics = step(before, {}, {"x": x})
    distance = np.abs(np.asarray(before.params["kernel"]) - np.asarray(before.average["kernel"]))
    np.testing.assert_allclose(metrics["distance"], distance.sum(), rtol=1e-6)
    # Were the mean differentiated through, both terms would cancel.
    np.testing.assert_allclose(after.params["kernel"], before.params["kernel"] - 0.1, rtol=1e-5)


def test_a_step_that_is_not_finite_moves_nothing_but_its_number():
    x = batches()
    x[1, 0, 0] = np.nan
    (first, _), (second, metrics), (third, _), _ = run(x, average=0.9, momentum=0.5)
    assert metrics["finite"] == 0 and second.step == 2
    for old, new in zip(
        jax.tree.leaves((first.params, first.opt_state, first.average)),
        jax.tree.leaves((second.params, second.opt_state, second.average)),
        strict=True,
    ):
        np.testing.assert_array_equal(old, new)
    # And it goes on from there, at the rate of its number.
    wanted = second.params["kernel"] - 0.3 * (x[2].mean(0) + 0.5 * x[0].mean(0))
    np.testing.assert_allclose(third.params["kernel"], wanted, rtol=1e-5)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_accumulated_gradients_are_those_of_the_whole_batch(average):
    x = batches()
    whole, parts = (run(x, average=average, accumulate=count)[-1][0] for count in (1, 2))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), parts, whole)
