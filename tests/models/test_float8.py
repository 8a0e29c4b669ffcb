"""Products of 8-bit floats: what they round, and what they are scaled by."""

from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.models import float8
from surgvista_jax.models.blocks import Transformer
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig


class Product(nn.Module):
    """x @ kernel, in products of 8-bit floats."""

    centred: bool = True

    @nn.compact
    def __call__(self, x, kernel):
        return float8.multiplier(self, "input", x, self.centred)(kernel, None)


def product(x, kernel, largest, mean=0.0, centred=True):
    noted = {"input_mean": jnp.broadcast_to(mean, x.shape[-1:]), "input_largest": largest}
    noted = {float8.COLLECTION: jax.tree.map(jnp.float32, noted)}
    return Product(centred).apply(noted, x, kernel)


def draw(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def test_what_eight_bits_hold_is_multiplied_as_it_is():
    x = jnp.array([[0.5, -1.75, 0.0, 3.5]])
    kernel = jnp.array([[1.0], [0.875], [-6.0], [2.0]])
    np.testing.assert_array_equal(product(x, kernel, 4.0), x @ kernel)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_other_numbers_are_rounded_to_four_bits(dtype):
    x, identity = draw(16, 32).astype(dtype), jnp.eye(32, dtype=dtype)
    rounded = product(x, identity, jnp.max(jnp.abs(x)).astype(jnp.float32)).astype(jnp.float32)
    error = jnp.abs(rounded - x.astype(jnp.float32)) / jnp.abs(x.astype(jnp.float32))
    large = jnp.abs(x) > 1e-2
    assert 2**-6 < jnp.max(error[large]) <= 2**-4


@pytest.mark.parametrize("factor", [2.0**-60, 2.0**-9, 2.0**40])
def test_a_power_of_two_changes_no_digit(factor):
    x, kernel = draw(4, 16), draw(16, 3, seed=1)
    whole = product(x, kernel, 3.0)
    np.testing.assert_array_equal(product(factor * x, kernel, factor * 3), factor * whole)
    np.testing.assert_array_equal(product(x, factor * kernel, 3.0), factor * whole)


def test_inputs_twice_as_large_as_any_seen_are_held_and_larger_ones_cut_off():
    identity = jnp.eye(1)
    assert product(jnp.array([[7.9]]), identity, 4.0) == 8
    held = product(jnp.array([[1e6]]), identity, 4.0)
    assert 8 <= held <= 16


def test_nothing_but_zeros_stays_zero():
    np.testing.assert_array_equal(product(jnp.zeros((2, 4)), jnp.zeros((4, 3)), 0.0), 0)


def test_what_all_inputs_have_in_common_is_not_rounded():
    x, kernel = draw(64, 8) + 50 * draw(1, 8, seed=2), draw(8, 3, seed=1)
    _, noted = Product().apply({}, x, kernel, mutable=[float8.COLLECTION])
    mean, largest = (noted[float8.COLLECTION][f"input_{name}"] for name in ("mean", "largest"))

    def error(result):
        return jnp.max(jnp.abs(result - x @ kernel))

    assert error(product(x, kernel, largest, mean)) < 0.5
    assert error(product(x, kernel, jnp.max(jnp.abs(x)))) > 4


def test_for_what_is_rounded_as_it_is_the_rounded_kernel_is_right_on_average():
    x, kernel = jnp.abs(draw(256, 8) + 3 * draw(1, 8, seed=2)), draw(8, 3, seed=1)
    _, noted = Product(False).apply({}, x, kernel, mutable=[float8.COLLECTION])
    mean, largest = (noted[float8.COLLECTION][f"input_{name}"] for name in ("mean", "largest"))
    np.testing.assert_allclose(largest, jnp.max(jnp.abs(x)), rtol=1e-6)

    def error(mean):
        given = product(x, kernel, largest, mean, centred=False)
        return jnp.max(jnp.abs(jnp.mean(given - x @ kernel, axis=0)))

    assert error(mean) < error(0.0) / 4


def test_mean_and_size_are_noted_where_they_may_be_and_the_product_is_exact():
    x, kernel = draw(5, 8), draw(8, 2, seed=1)
    result, noted = Product().apply({}, x, kernel, mutable=[float8.COLLECTION])
    np.testing.assert_array_equal(result, x @ kernel)
    noted = noted[float8.COLLECTION]
    np.testing.assert_allclose(noted["input_mean"], x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        noted["input_largest"], jnp.max(jnp.abs(x - x.mean(0, keepdims=True))), rtol=1e-5
    )


@pytest.mark.parametrize("unroll", [False, True])
def test_a_transformer_notes_each_product_of_each_layer_and_says_nearly_the_same(unroll):
    config = TransformerConfig(64, 3, 4, attention_bias="qkv")
    exact = Transformer(config, ComputeConfig(dtype="float32", unroll=unroll))
    rounded = Transformer(config, ComputeConfig(dtype="float32", unroll=unroll), float8=True)
    x = draw(2, 10, 64)
    params = nn.unbox(exact.init(jax.random.key(0), x, False))
    same, noted = rounded.apply(params, x, False, mutable=[float8.COLLECTION])
    expected = exact.apply(params, x, False)
    np.testing.assert_allclose(same, expected, rtol=1e-5, atol=1e-6)
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(noted))
    assert shapes == [*[(3,)] * 4, *[(3, 64)] * 3, (3, 256)]
    given = rounded.apply(params | noted, x, False)
    off = jnp.linalg.norm(given - expected) / jnp.linalg.norm(expected)
    assert 0.005 < off < 0.08  # some rounding, and no more than that of 8 bits


@pytest.mark.parametrize(
    ("capability", "fast"),
    [
        ("7.5", False),
        ("8.6", False),
        ("8.9", True),
        ("9.0", True),
        ("10.0", True),
        ("gfx90a", False),
    ],
)
def test_gpus_from_ada_and_hopper_on_multiply_them(capability, fast):
    assert float8.is_fast_on(SimpleNamespace(compute_capability=capability)) == fast


def test_processors_multiply_none():
    assert not float8.is_fast_on(jax.devices("cpu")[0])
