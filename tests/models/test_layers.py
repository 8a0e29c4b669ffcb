"""The transformer's parameters do not depend on how it is computed, nor do its outputs."""

import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from surgvista_jax.models import attention
from surgvista_jax.models.attention import (
    as_anywhere,
    attend,
    attend_in_order,
    attention_kernel,
    planned_for,
)
from surgvista_jax.models.blocks import Block, Transformer
from surgvista_jax.models.gelu import gelu
from surgvista_jax.models.layers import ComputeConfig, Linear, Mlp, TransformerConfig

CONFIG = TransformerConfig(32, 3, 4, layer_scale=0.1, drop_path=0.5)
FLOAT32 = ComputeConfig(dtype="float32")


def x_of(batch: int = 2, tokens: int = 6) -> jax.Array:
    return jax.random.normal(jax.random.key(1), (batch, tokens, CONFIG.width))


@functools.cache
def init(config: TransformerConfig = CONFIG, compute: ComputeConfig = FLOAT32):
    module = Transformer(config, compute)
    return jax.jit(module.init, static_argnums=2)(jax.random.key(0), x_of(), False)


def shapes(tree):
    return jax.tree.map(jnp.shape, tree)


def unboxed(variables):
    return jax.tree.map(
        lambda box: box.unbox(), variables, is_leaf=lambda leaf: hasattr(leaf, "unbox")
    )


@pytest.mark.parametrize("compute", [{"unroll": True}, {"remat": "full"}, {"remat": "dots"}])
def test_unrolled_and_rematerialised_equal_the_scan(compute):
    other = dataclasses.replace(FLOAT32, **compute)
    variables = unboxed(init())
    assert shapes(unboxed(jax.eval_shape(lambda: init(compute=other)))) == shapes(variables)

    def loss(variables, compute):
        rngs = {"drop_path": jax.random.key(3)}
        return (Transformer(CONFIG, compute).apply(variables, x_of(), True, rngs=rngs) ** 2).mean()

    grad = jax.jit(jax.value_and_grad(loss), static_argnums=1)
    value, grads = grad(variables, FLOAT32)
    other_value, other_grads = grad(variables, other)
    np.testing.assert_allclose(value, other_value, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), grads, other_grads)


def test_the_scan_equals_blocks_one_after_the_other():
    variables = unboxed(init())
    x = x_of()
    for i in range(CONFIG.depth):
        params = jax.tree.map(lambda leaf, i=i: leaf[i], variables["params"]["blocks"])
        x, _ = Block(CONFIG, jnp.float32).apply({"params": params}, x, None, False)
    np.testing.assert_allclose(
        Transformer(CONFIG, FLOAT32).apply(variables, x_of(), False), x, atol=1e-5
    )


@pytest.mark.parametrize("bias", ["none", "qv", "qkv"])
def test_attention_bias_forms(bias):
    config = dataclasses.replace(CONFIG, attention_bias=bias)
    names = init(config)["params"]["blocks"]["attention"]
    present = "".join(letter for letter in "qkv" if f"{letter}_bias" in names)
    assert present == bias.replace("none", "")


def test_layer_scale_only_where_asked_for():
    assert "mlp_scale" in init()["params"]["blocks"]
    plain = dataclasses.replace(CONFIG, layer_scale=0.0)
    assert "mlp_scale" not in init(plain)["params"]["blocks"]


def test_drop_path_drops_whole_samples_at_its_rate_and_keeps_the_mean():
    """With every branch dropped a block is the identity; a kept one is scaled up."""
    config = dataclasses.replace(CONFIG, depth=1)
    block = Block(config, jnp.float32)
    x = x_of(batch=4000, tokens=1)
    variables = unboxed(block.init(jax.random.key(0), x, None, False))
    rate = jnp.asarray(0.25)
    rngs = {"drop_path": jax.random.key(0)}
    kept = block.apply(variables, rate, len(x), rngs=rngs, method="kept")
    dropped, _ = jax.jit(block.apply, static_argnums=3)(variables, x, kept, True)
    unchanged = (dropped == x).all(axis=(1, 2)).mean()
    np.testing.assert_allclose(unchanged, rate**2, atol=0.015)  # attention and MLP both dropped
    still, _ = block.apply(variables, x, None, False)
    assert not (still == x).all(axis=(1, 2)).any()


def test_drop_path_rises_linearly_from_the_first_block():
    """The first block drops nothing, so a stack of one never changes in training."""
    config = dataclasses.replace(CONFIG, depth=1)
    variables = unboxed(init(config))
    module = Transformer(config, FLOAT32)
    trained = module.apply(variables, x_of(), True, rngs={"drop_path": jax.random.key(0)})
    np.testing.assert_allclose(trained, module.apply(variables, x_of(), False), atol=1e-6)


def test_attention_agrees_with_its_definition():
    q, k, v = jax.random.normal(jax.random.key(0), (3, 2, 5, 4, 8))
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(8), axis=-1)
    expected = jnp.einsum("bhqk,bkhd->bqhd", weights, v)
    np.testing.assert_allclose(attend(q, k, v, differentiable=True), expected, atol=1e-6)
    check_grads(lambda q: attend(q, k, v, differentiable=True).sum(), (q,), 1, ["rev"], rtol=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_many_tokens_are_attended_to_in_blocks_where_no_gradient_is_asked_for(dtype):
    """On a processor; with padding, the same as at once, and never all shares at a time."""
    length = 801
    q, k, v = jax.random.normal(jax.random.key(0), (3, 2, length, 2, 8), dtype)
    blocked = jax.jit(functools.partial(attend, differentiable=False)).lower(q, k, v).compile()
    plain = attend(q, k, v, differentiable=True)
    tolerance = 1e-6 if dtype == "float32" else 4e-3
    np.testing.assert_allclose(
        blocked(q, k, v).astype(jnp.float32), plain.astype(jnp.float32), atol=tolerance
    )
    assert blocked.memory_analysis().temp_size_in_bytes < 2 * 2 * length**2 * 4 / 2
    assert attention_kernel("cpu", q.dtype, length, 8, False, devices=8) == "xla"
    with as_anywhere():
        assert "scan" not in str(
            jax.make_jaxpr(functools.partial(attend, differentiable=False))(q, k, v)
        )


@pytest.mark.parametrize("length", [5, 256, 515])  # one block, a whole one, three with padding
def test_a_gradient_in_one_order_is_that_of_the_definition(length):
    q, k, v, weight = jax.random.normal(jax.random.key(0), (4, 2, length, 2, 8))

    def loss(attention, *inputs):
        return (attention(*inputs) * weight).sum()

    def plain(*inputs):
        return attend(*inputs, differentiable=True)

    ours, theirs = (
        jax.grad(functools.partial(loss, attention), (0, 1, 2))(q, k, v)
        for attention in (attend_in_order, plain)
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * abs(other).max())
    np.testing.assert_array_equal(attend_in_order(q, k, v), plain(q, k, v))


def test_a_deterministic_model_takes_the_gradient_in_one_order_where_cudnn_would_not(monkeypatch):
    def jaxpr(compute):
        module = Transformer(CONFIG, compute)
        variables = unboxed(module.init(jax.random.key(0), x_of(), False))
        rngs = {"drop_path": jax.random.key(0)}
        return str(jax.make_jaxpr(lambda v: module.apply(v, x_of(), True, rngs=rngs))(variables))

    deterministic = dataclasses.replace(FLOAT32, deterministic=True)
    assert "attend_in_order" not in jaxpr(deterministic)  # a processor's order is one anyhow
    # As on a GPU, but for the forward pass, which is computed here when it is traced.
    monkeypatch.setattr(attention, "attention_kernel", lambda *_: "cudnn" if _[4] else "xla")
    assert "attend_in_order" in jaxpr(deterministic)


def test_cudnn_only_for_shapes_that_it_takes():
    def kernel(backend="gpu", dtype=jnp.bfloat16, length=240, width=64, differentiable=True):
        return attention_kernel(backend, dtype, length, width, differentiable)

    assert kernel() == "cudnn"
    assert kernel(length=197, differentiable=False) == "cudnn"
    for refused in (
        {"backend": "cpu"},
        {"backend": "tpu"},
        {"dtype": jnp.float32},
        {"length": 197},
        {"width": 60},
        {"width": 256},
    ):
        assert kernel(**refused) == "xla", refused


@pytest.mark.parametrize(
    ("capability", "kernel"),
    [("7.5", "xla"), ("8.0", "cudnn"), ("12.0", "cudnn"), ("gfx90a", "xla"), (None, "xla")],
)
def test_cudnn_only_on_gpus_that_have_its_flash_attention(monkeypatch, capability, kernel):
    device = types.SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    q = jax.ShapeDtypeStruct((2, 240, 3, 64), jnp.bfloat16)
    assert attention._kernel_for(q, q, differentiable=True) == kernel


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="cuDNN needs a GPU")
@pytest.mark.parametrize("length", [240, 1568, 197])
def test_cudnn_agrees_with_xla(length):
    """Student, decoder and teacher lengths, in bfloat16: 8 bits of mantissa."""
    q, k, v = jax.random.normal(jax.random.key(0), (3, 2, length, 6, 64), jnp.bfloat16)
    train = length % 2 == 0

    def loss(q, kernel):
        x = jax.nn.dot_product_attention(q, k, v, implementation=kernel)
        return (x.astype(jnp.float32) ** 2).mean(), x

    assert attention_kernel("gpu", q.dtype, length, 64, train) == "cudnn"
    outputs = [loss(q, kernel)[1].astype(jnp.float32) for kernel in ("cudnn", "xla")]
    np.testing.assert_allclose(*outputs, atol=0.02)
    if train:
        grad = jax.grad(lambda q, kernel: loss(q, kernel)[0])
        ours, theirs = (grad(q, kernel).astype(jnp.float32) for kernel in ("cudnn", "xla"))
        np.testing.assert_allclose(ours, theirs, atol=0.02 * abs(theirs).max())


def test_activations_are_in_the_compute_type_and_parameters_in_float32():
    variables = unboxed(init(compute=ComputeConfig(dtype="bfloat16")))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    module = Transformer(CONFIG, ComputeConfig(dtype="bfloat16"))
    assert module.apply(variables, x_of(), False).dtype == jnp.bfloat16


def test_initial_kernels_are_xavier_uniform_over_the_fused_projection():
    config = TransformerConfig(64, 1, 4)
    kernel = unboxed(init_width(config))["params"]["blocks"]["attention"]["qkv_kernel"]
    bound = np.sqrt(6 / (64 + 3 * 64))
    assert abs(kernel).max() <= bound
    np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.05)


def init_width(config: TransformerConfig):
    x = jnp.zeros((1, 2, config.width))
    return Transformer(config, FLOAT32).init(jax.random.key(0), x, False)


@pytest.mark.parametrize(
    "wrong", [{"heads": 5}, {"attention_bias": "kv"}, {"drop_path": 1.0}], ids=str
)
def test_configurations_that_cannot_be(wrong):
    with pytest.raises(ValueError):
        dataclasses.replace(CONFIG, **wrong)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 2**-7)])
def test_a_product_after_the_gelu_has_the_gradient_of_one_after_the_other(dtype, tolerance):
    x, dtype = x_of().astype(dtype), jnp.dtype(dtype)
    anew = Linear(5, (None, None), dtype, after_gelu=True)
    params = unboxed(anew.init(jax.random.key(0), x))

    def composed(params, x):
        return Linear(5, (None, None), x.dtype).apply(params, gelu(x))

    value, pull = jax.vjp(anew.apply, params, x)
    np.testing.assert_array_equal(value, composed(params, x))
    cotangent = jax.random.normal(jax.random.key(2), value.shape, dtype)
    # Compared with float32: JAX 0.12 rounds a composed gradient in bfloat16 more than 0.10 does.
    exact = jax.vjp(composed, params, x.astype(jnp.float32))[1](cotangent.astype(jnp.float32))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(
            a.astype(jnp.float32), b, rtol=tolerance, atol=tolerance
        ),
        pull(cotangent),
        exact,
    )


def test_an_mlp_keeps_one_of_its_two_wide_arrays_for_the_backward_pass():
    mlp, x = Mlp(CONFIG, jnp.bfloat16), x_of(tokens=7)
    params = unboxed(mlp.init(jax.random.key(0), x))
    kept = jax.eval_shape(lambda params, x: jax.vjp(mlp.apply, params, x)[1], params, x)
    wide = [leaf for leaf in jax.tree.leaves(kept) if leaf.shape == (2, 7, CONFIG.mlp_width)]
    assert len(wide) == 1 and wide[0].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("backend", "dtype", "differentiable", "by_tanh"),
    [
        ("gpu", "bfloat16", False, True),
        ("gpu", "bfloat16", True, False),
        ("gpu", "float32", False, False),
        ("cpu", "bfloat16", False, False),
    ],
)
def test_the_gelu_by_tanh_is_that_of_gpus_without_a_gradient(
    backend, dtype, differentiable, by_tanh
):
    mlp, x = Mlp(CONFIG, jnp.dtype(dtype)), x_of()
    params = unboxed(mlp.init(jax.random.key(0), x))
    with planned_for(backend):
        traced = jax.make_jaxpr(lambda params, x: mlp.apply(params, x, differentiable))(params, x)
    assert (" tanh " in str(traced)) == by_tanh
