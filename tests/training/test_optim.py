"""The learning rate of each update, and which parameters decay."""

import json

import numpy as np
import pytest

from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.optim import (
    OptimConfig,
    check_warmup,
    decays,
    long_warmup,
    make_optimizer,
    make_schedule,
    warmup_cosine,
)
from tests.support.places import GOLDEN


def rates(schedule, steps):
    return np.array([schedule(np.int32(step)) for step in range(steps)])


def test_schedule_agrees_with_the_reference():
    with np.load(GOLDEN / "cosine_schedule.npz") as file:
        expected, settings = file["pretrain"], json.loads(str(file["pretrain_args"]))
    per_epoch = settings["niter_per_ep"]
    schedule = warmup_cosine(
        settings["base_value"],
        settings["final_value"],
        settings["warmup_epochs"] * per_epoch,
        settings["epochs"] * per_epoch,
    )
    np.testing.assert_allclose(rates(schedule, len(expected)), expected, rtol=1e-5)


def test_warm_up_given_in_updates_agrees_with_the_reference():
    with np.load(GOLDEN / "cosine_schedule.npz") as file:
        expected, settings = file["warmup_steps"], json.loads(str(file["warmup_steps_args"]))
    schedule = warmup_cosine(
        settings["base_value"],
        settings["final_value"],
        settings["warmup_steps"],
        settings["epochs"] * settings["niter_per_ep"],
    )
    np.testing.assert_allclose(rates(schedule, len(expected)), expected, rtol=1e-5, atol=1e-9)


def test_the_papers_rates():
    """2,048 clips: 1.5e-4 becomes 1.2e-3, and the cosine falls to two thirds of it only."""
    schedule = make_schedule(OptimConfig(), 2048, steps_per_epoch=10, total_steps=2010)
    every = rates(schedule, 2010)
    assert every[0] == 0
    np.testing.assert_allclose(every.max(), 1.2e-3, rtol=1e-6)
    assert every.argmax() in (399, 400)
    np.testing.assert_allclose(every[-1], 8e-4, rtol=1e-4)


@pytest.mark.parametrize("warmup", [0, 1, 5])
def test_every_rate_of_a_short_run_is_finite_and_positive_after_the_first(warmup):
    every = rates(warmup_cosine(1.0, 0.1, warmup, 5), 5)
    assert np.isfinite(every).all() and (every[1:] > 0).all()


def test_kernels_and_mask_tokens_decay_alone():
    leaf = np.zeros(1)
    flags = decays(
        {
            "up": {"kernel": leaf, "bias": leaf},
            "attention": {"qkv_kernel": leaf, "q_bias": leaf},
            "norm": {"scale": leaf},
            "mask_token": leaf,
            "class_token": leaf,
            "positions": leaf,
            "mlp_scale": leaf,
        }
    )
    assert flags == {
        "up": {"kernel": True, "bias": False},
        "attention": {"qkv_kernel": True, "q_bias": False},
        "norm": {"scale": False},
        "mask_token": True,
        "class_token": False,
        "positions": False,
        "mlp_scale": False,
    }


def test_adamw_agrees_with_its_definition_over_three_steps():
    """Written out in float64: moments, bias correction, decoupled decay."""
    config = OptimConfig(weight_decay=0.05)
    rng = np.random.default_rng(0)
    params = {"kernel": rng.normal(size=5), "bias": rng.normal(size=5)}
    expected = {name: value.copy() for name, value in params.items()}
    moments = {name: [np.zeros(5), np.zeros(5)] for name in params}
    optimizer = make_optimizer(config)
    state = optimizer.init(params)
    for step, rate in enumerate((0.1, 0.05, 0.2), start=1):
        grads = {name: rng.normal(size=5) for name in params}
        updates, state = optimizer.update(grads, state, params)
        params = {name: params[name] - rate * np.asarray(updates[name]) for name in params}
        for name, grad in grads.items():
            first, second = moments[name]
            first[:] = 0.9 * first + 0.1 * grad
            second[:] = 0.95 * second + 0.05 * grad**2
            decay = 0.05 if name == "kernel" else 0.0
            expected[name] *= 1 - rate * decay
            scale = np.sqrt(second / (1 - 0.95**step)) + 1e-8
            expected[name] -= rate * first / (1 - 0.9**step) / scale
        for name in params:
            np.testing.assert_allclose(params[name], expected[name], rtol=1e-5)


def test_a_warm_up_longer_than_the_run_is_refused_by_epochs_and_said_by_steps():
    config = OptimConfig(warmup_epochs=5.0)
    check_warmup(config, BudgetConfig(8, epochs=5.0))
    with pytest.raises(ValueError, match=r"^optim.warmup_epochs=5: should be at most budget.ep"):
        check_warmup(config, BudgetConfig(8, epochs=4.0))
    assert long_warmup(config, BudgetConfig(8, steps=50), clips=80) is None
    said = long_warmup(config, BudgetConfig(8, steps=49), clips=80)
    assert said is not None and "are 50 updates, the run has budget.steps=49" in said
