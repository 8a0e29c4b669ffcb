"""ResNet-50 has the published shapes; images meet in the batch's statistics alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.models.resnet import ResNet50
from tests.support.cnn_variables import random_variables

MODEL = ResNet50(jnp.float32)
IMAGES = np.random.default_rng(0).normal(size=(3, 64, 64, 3)).astype(np.float32)


@functools.cache
def variables():
    return random_variables(MODEL, IMAGES)


def test_it_has_the_parameters_of_the_published_network():
    """torchvision says 25,557,032; 2049 for each of 1000 classes belong to the classifier."""
    count = sum(leaf.size for leaf in jax.tree.leaves(variables()["params"]))
    assert count == 25_557_032 - (2048 + 1) * 1000
    means = [x for k, x in jax.tree_util.tree_leaves_with_path(variables()) if k[-1].key == "mean"]
    assert len(means) == 53


@pytest.mark.parametrize("size, side", [(64, 2), (65, 3)])
def test_the_map_is_a_32nd_of_the_image_rounded_up(size, side):
    images = jnp.zeros((2, size, size, 3))
    assert jax.eval_shape(MODEL.apply, variables(), images).shape == (2, side, side, 2048)


def test_a_blocks_stride_lies_in_its_3x3_convolution():
    def intermediates():
        return MODEL.apply(variables(), IMAGES, capture_intermediates=True)[1]["intermediates"]

    block = jax.eval_shape(intermediates)["stage_1_block_0"]
    sides = {name: block[name]["__call__"][0].shape[1] for name in ("reduce", "spatial")}
    assert sides == {"reduce": 16, "spatial": 8}


def test_stored_statistics_are_used_and_left_alone_without_train():
    apply = jax.jit(functools.partial(MODEL.apply, mutable=["batch_stats"]))
    features, changed = apply(variables(), IMAGES)
    jax.tree.map(np.testing.assert_array_equal, changed["batch_stats"], variables()["batch_stats"])
    alone, _ = apply(variables(), IMAGES[:1])
    np.testing.assert_allclose(alone, features[:1], atol=1e-4)
    stats = jax.tree.map(lambda x: 2 * x, variables()["batch_stats"])
    other, _ = apply({**variables(), "batch_stats": stats}, IMAGES)
    assert abs(other - features).max() > 0.1


def test_train_takes_the_batchs_statistics_and_keeps_nine_tenths_of_the_stored():
    apply = jax.jit(functools.partial(MODEL.apply, train=True, mutable=["batch_stats"]))
    features, changed = apply(variables(), IMAGES)
    alone, _ = apply(variables(), IMAGES[:1])
    assert abs(features[0] - alone[0]).max() > 0.1
    norm = {k: x["stem"]["norm"] for k, x in variables().items()}
    kernel = variables()["params"]["stem"]["conv"]["kernel"]
    stem = jax.lax.conv_general_dilated(
        IMAGES, kernel, (2, 2), ((3, 3), (3, 3)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    expected = 0.9 * norm["batch_stats"]["mean"] + 0.1 * stem.mean(axis=(0, 1, 2))
    actual = changed["batch_stats"]["stem"]["norm"]["mean"]
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_parameters_are_boxed_with_their_axes_and_float32_in_bfloat16():
    model = ResNet50(jnp.bfloat16)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), IMAGES))
    boxes = jax.tree.leaves(shapes["params"], is_leaf=lambda x: hasattr(x, "names"))
    assert all(len(box.names) == box.value.ndim for box in boxes)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    assert jax.eval_shape(model.apply, variables(), IMAGES).dtype == jnp.bfloat16
