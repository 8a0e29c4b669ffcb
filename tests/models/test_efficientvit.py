"""EfficientViT-M5: heads follow one another, and attention stays within its window."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.models import efficientvit
from surgvista_jax.models.efficientvit import (
    CascadedAttention,
    EfficientViTM5,
    WindowAttention,
    offsets,
)
from tests.support.cnn_variables import random_variables, unboxed

MODEL = EfficientViTM5(jnp.float32)
IMAGES = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
MAP = np.random.default_rng(1).normal(size=(1, 5, 5, 96)).astype(np.float32)


@functools.cache
def variables():
    return random_variables(MODEL, IMAGES)


def test_it_has_the_parameters_of_the_published_network():
    """timm says 12,473,772; a norm of 384 and 1000 classes belong to the classifier."""
    count = sum(leaf.size for leaf in jax.tree.leaves(variables()["params"]))
    assert count == 12_473_772 - 2 * 384 - (384 + 1) * 1000


@pytest.mark.parametrize("size, side", [(64, 1), (224, 4), (225, 4), (256, 4), (272, 5)])
def test_the_map_is_a_64th_of_the_image_rounded_up(size, side):
    """The same parameters serve every size."""
    images = jnp.zeros((2, size, size, 3))
    assert jax.eval_shape(MODEL.apply, variables(), images).shape == (2, side, side, 384)


def test_stored_statistics_are_used_and_left_alone_without_train():
    apply = jax.jit(functools.partial(MODEL.apply, mutable=["batch_stats"]))
    features, changed = apply(variables(), IMAGES)
    jax.tree.map(np.testing.assert_array_equal, changed["batch_stats"], variables()["batch_stats"])
    alone, _ = apply(variables(), IMAGES[1:])
    np.testing.assert_allclose(alone, features[1:], atol=1e-4)
    stats = jax.tree.map(lambda x: 2 * x, variables()["batch_stats"])
    other, _ = apply({**variables(), "batch_stats": stats}, IMAGES)
    assert abs(other - features).max() > 0.1


def test_train_updates_every_statistic():
    model = CascadedAttention(5, 3, jnp.float32)
    stats = random_variables(model, MAP, False)
    _, changed = model.apply(stats, MAP, True, mutable=["batch_stats"])
    equal = jax.tree.map(np.allclose, stats["batch_stats"], changed["batch_stats"])
    assert not any(jax.tree.leaves(equal))


def test_a_head_sees_its_own_channels_and_the_heads_before_it():
    model = CascadedAttention(5, 3, jnp.float32)
    params = random_variables(model, MAP, False)

    def seen_by(head: int, x):
        _, state = model.apply(params, x, False, capture_intermediates=True)
        return state["intermediates"][f"qkv_{head}"]["__call__"][0].sum()

    for head in range(3):
        gradient = jax.grad(functools.partial(seen_by, head))(MAP)
        parts = [abs(part).max() > 0 for part in np.split(gradient, 3, axis=-1)]
        assert parts == [True] * (head + 1) + [False] * (2 - head)


def test_attention_stays_within_its_window():
    """Windows of 3 on a map of 5: the second window of a row is filled up with zeros."""
    model = WindowAttention(3, 3, jnp.float32)
    params = random_variables(model, MAP, False)

    def value(x, row: int, column: int):
        return model.apply(params, x, False)[0, row, column].sum()

    for place in (1, 4):
        gradient = abs(jax.grad(value)(MAP, place, 0))[0].max(axis=-1)
        expected = np.zeros((5, 5), bool)
        expected[slice(0, 3) if place < 3 else slice(3, 5), :3] = True
        np.testing.assert_array_equal(gradient > 0, expected)


def test_a_map_smaller_than_its_window_uses_a_part_of_the_table():
    large, small = (WindowAttention(side, 3, jnp.float32) for side in (7, 5))
    params = random_variables(large, MAP, False)
    cut = jax.tree.map(lambda x: x, params)
    cascade = cut["params"]["cascade"]
    cascade["position_bias"] = cascade["position_bias"][:, :5, :5]
    expected = small.apply(cut, MAP, False)
    np.testing.assert_allclose(large.apply(params, MAP, False), expected, atol=1e-6)


def test_offsets_are_distances_between_places_in_row_major_order():
    rows, columns = offsets(2, 3)
    assert rows.shape == columns.shape == (6, 6)
    assert (rows[0, 5], columns[0, 5]) == (1, 2) == (rows[5, 0], columns[5, 0])
    assert (rows[1, 4], columns[1, 4]) == (1, 0)


def test_fresh_residual_branches_add_nothing():
    model = WindowAttention(7, 3, jnp.float32)
    fresh = unboxed(model.init(jax.random.key(0), MAP, False))
    assert not model.apply(fresh, MAP, False).any()
    mlp = efficientvit.ConvMlp(jnp.float32)
    fresh = unboxed(mlp.init(jax.random.key(0), MAP, False))
    np.testing.assert_array_equal(mlp.apply(fresh, MAP, False), MAP)


def test_parameters_are_boxed_with_their_axes_and_float32_in_bfloat16():
    model = EfficientViTM5(jnp.bfloat16)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), IMAGES))
    boxes = jax.tree.leaves(shapes["params"], is_leaf=lambda x: hasattr(x, "names"))
    assert all(len(box.names) == box.value.ndim for box in boxes)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    assert jax.eval_shape(model.apply, variables(), IMAGES).dtype == jnp.bfloat16
