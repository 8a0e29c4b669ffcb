"""A stack of blocks computes, in its last one, only what is asked for, and says the same."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from surgvista_jax.data.batches.masking import MaskConfig
from surgvista_jax.models.attention import attend, attend_in_order, planned_for
from surgvista_jax.models.blocks import Transformer
from surgvista_jax.models.flops import transformer_flops
from surgvista_jax.models.image_vit import ImageEncoder
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig, all_tokens
from tests.support.golden import load, pretraining

CONFIG = TransformerConfig(32, 3, 4, layer_scale=0.1, drop_path=0.5)
LOOP = ComputeConfig(dtype="float32")
UNROLLED = dataclasses.replace(LOOP, unroll=True)
ASKED = 3


def x_of():
    return jax.random.normal(jax.random.key(1), (4, 8, CONFIG.width))


def last(tokens):
    return tokens[:, -ASKED:]


def scattered(tokens):
    return jnp.take(tokens, jnp.array([6, 0, 3]), axis=1)


@functools.cache
def variables_of(config):
    return nn.unbox(Transformer(config, LOOP).init(jax.random.key(0), x_of(), False))


def outcome(config, compute, pick, beside=lambda tokens: tokens):
    """What is asked for, and the gradients of a number made of it, in training."""

    def loss(variables, x):
        rngs = {"drop_path": jax.random.key(3)}
        asked = beside(Transformer(config, compute).apply(variables, x, True, pick, rngs=rngs))
        return jnp.sum(jnp.sin(3 * asked)), asked

    grad = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    return grad(variables_of(config), x_of())


@pytest.mark.parametrize("pick", [last, scattered])
@pytest.mark.parametrize(("depth", "remat"), [(3, "none"), (1, "none"), (3, "dots")])
def test_what_is_asked_for_is_that_of_all_tokens_and_so_are_its_gradients(pick, depth, remat):
    config = dataclasses.replace(CONFIG, depth=depth, drop_path=0.5 if depth > 1 else 0.0)
    trimmed = outcome(config, dataclasses.replace(UNROLLED, remat=remat), pick)
    whole = outcome(config, LOOP, all_tokens, pick)
    assert trimmed[1].shape == (4, ASKED, CONFIG.width)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), trimmed, whole
    )


def test_what_the_last_block_would_make_of_other_tokens_is_not_computed():
    def operations(pick):
        def forward(variables, x):
            return last(Transformer(CONFIG, UNROLLED).apply(variables, x, False, pick))

        compiled = jax.jit(forward).lower(variables_of(CONFIG), x_of()).compile()
        return compiled.cost_analysis()["flops"]

    saved = transformer_flops(CONFIG, 8) - transformer_flops(CONFIG, 8, ASKED)
    rows = len(x_of())
    assert operations(all_tokens) - operations(last) > 0.8 * rows * saved


def test_a_loop_makes_all_and_picks_from_it():
    """Its blocks are alike; and where nothing was asked for, all tokens come."""
    variables = variables_of(CONFIG)
    loop, unrolled = (Transformer(CONFIG, compute) for compute in (LOOP, UNROLLED))
    given = loop.apply(variables, x_of(), False, last)
    np.testing.assert_array_equal(given, last(loop.apply(variables, x_of(), False)))
    np.testing.assert_allclose(given, unrolled.apply(variables, x_of(), False, last), atol=1e-5)


@pytest.mark.parametrize("queries", [2, 5])
def test_fewer_tokens_attend_in_each_form_as_they_do_among_all(queries):
    q, k, v, weight = jax.random.normal(jax.random.key(0), (4, 2, 801, 2, 8))

    def loss(attention, q, k, v, asked):
        return (attention(q[:, :asked], k, v)[:, :queries] * weight[:, :queries]).sum()

    plain = functools.partial(attend, differentiable=True)
    expected = jax.grad(functools.partial(loss, plain), (0, 1, 2))(q, k, v, 801)
    for attention in (plain, attend_in_order):
        given = jax.grad(functools.partial(loss, attention), (0, 1, 2))(q, k, v, queries)
        for one, other in zip(given, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5 * abs(other).max())
    blocked = attend(q[:, :600], k, v, differentiable=False)
    np.testing.assert_allclose(blocked, plain(q, k, v)[:, :600], atol=1e-6)
    with planned_for("gpu"):
        half = (x.astype(jnp.bfloat16) for x in (q[:, :queries], k[:, :800], v[:, :800]))
        assert jax.eval_shape(plain, *half).shape == (2, queries, 2, 8)


def test_an_odd_number_on_either_side_keeps_training_from_cudnn():
    def kept(queries, keys):
        shapes = [jax.ShapeDtypeStruct((1, n, 2, 8), jnp.bfloat16) for n in (queries, keys, keys)]
        with planned_for("gpu"):
            return str(jax.make_jaxpr(functools.partial(attend, differentiable=True))(*shapes))

    assert "_kept_as_by_cudnn" in kept(2, 4)
    assert "_kept_as_by_cudnn" not in kept(2, 5) + kept(3, 4)


def test_a_step_that_is_unrolled_has_the_loss_and_gradients_of_one_that_is_not():
    """The teacher, too, computes in its last block what the hidden tokens of tubes need."""
    golden = load("pretrain_tube")

    def gradient(compute):
        task = pretraining(golden, compute=compute)
        grad = jax.jit(jax.value_and_grad(task.loss, has_aux=True))
        return grad(golden.params, golden.teacher_params, golden.batch, None)

    (losses, grads), (expected, others) = gradient(UNROLLED), gradient(LOOP)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), losses, expected)
    for one, other in zip(jax.tree.leaves(grads), jax.tree.leaves(others), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5 * abs(other).max())


def test_a_teacher_describes_the_patches_that_are_asked_for():
    golden = load("pretrain_tube")
    images, ids = golden.batch["video"][:, 0], np.array([[3, 0, 9], [15, 2, 1]])
    loop, unrolled = (ImageEncoder(golden.teacher, compute) for compute in (LOOP, UNROLLED))
    whole = loop.apply({"params": golden.teacher_params}, images)
    expected = np.take_along_axis(whole, ids[..., None], axis=1)
    for teacher in (loop, unrolled):
        given = teacher.apply({"params": golden.teacher_params}, images, ids)
        np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("masks", [{"kind": "random"}, {"masks_per_clip": 2}])
def test_it_describes_all_where_images_are_hidden_unequally_or_by_several_masks(masks):
    golden = load("pretrain_tube")
    tubes, others = (
        pretraining(golden, mask=MaskConfig(ratio=0.75, **change)) for change in ({}, masks)
    )
    assert tubes.teacher_flops_per_clip < others.teacher_flops_per_clip
