"""What a run says of itself at its start is true of it, and short."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.training.banner import Banner, count_of, planned_time, steps_in_words
from surgvista_jax.training.budget import BudgetConfig


def test_the_banner_tells_device_parameters_data_and_steps():
    text = str(Banner("8 x H100 (data 8)", 22_100_000, 304, 1, 3456, "150 of 16 clips"))
    rows = dict(line.split(":", 1) for line in text.splitlines())
    assert {name: said.strip() for name, said in rows.items()} == {
        "device": "8 x H100 (data 8)",
        "parameters": "22.1 million trained, 304 frozen",
        "data": "1 video, 3,456 clips",
        "steps": "150 of 16 clips",
    }
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize(
    ("budget", "done", "said"),
    [
        (BudgetConfig(16, steps=150), 0, "150 of 16 clips (2.5 epochs)"),
        (BudgetConfig(1, epochs=2), 480, "1,920 of 1 clip (2 epochs), from step 480 on"),
    ],
)
def test_steps_are_told_with_their_epochs(budget, done, said):
    assert steps_in_words(budget, 960, done) == said


def test_parameters_are_counted_of_shapes_and_arrays():
    tree = {"a": np.zeros((2, 3)), "b": {"c": jax.ShapeDtypeStruct((4,), jnp.float32)}}
    assert count_of(tree) == 10


def test_no_time_is_promised_where_no_rate_is_known():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1, 1), ("data", "fsdp", "x"))
    assert planned_time("pretraining", mesh, 1e9, 1000) == ""
