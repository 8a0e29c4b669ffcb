"""Is the quick GELU of bfloat16 the exact one, to its last bit, and so is its slope?"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.models.gelu import gelu

ROUNDING = 2.0**-8  # half of bfloat16's last bit, as a share of the number


def every_bfloat16() -> np.ndarray:
    """All of them from -12 to 50 but those too small for an eighth bit: beyond, nothing is left."""
    bits = (np.arange(2**16, dtype=np.uint32) << 16).view(np.float32)
    bits = bits[np.isfinite(bits)].astype(np.float64)
    return bits[(np.abs(bits) > 1e-30) & (bits >= -12) & (bits <= 50)]


def exact(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x Phi(x) and its slope, in float64."""
    phi = np.array([0.5 * math.erfc(-number / math.sqrt(2)) for number in x])
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return x * phi, phi + x * density


def test_every_bfloat16_gives_the_exact_value_rounded_once():
    x = every_bfloat16()
    right, _ = exact(x)
    given = np.asarray(gelu(jnp.asarray(x, jnp.bfloat16)), np.float64)
    assert np.max(np.abs(given / right - 1)) < ROUNDING * (1 + 2**-5)
    rounded = right.astype(jnp.bfloat16).astype(np.float64)
    assert np.mean(given == rounded) > 0.99  # others lie on the edge between two numbers


def test_every_bfloat16_gives_the_exact_slope_rounded_once():
    x = every_bfloat16()
    _, right = exact(x)
    ones = jnp.ones(len(x), jnp.bfloat16)
    [given] = jax.vjp(gelu, jnp.asarray(x, jnp.bfloat16))[1](ones)
    given = np.asarray(given, np.float64)
    # Where the slope crosses zero, its terms leave the error of a larger number.
    assert np.all(np.abs(given - right) < ROUNDING * (1 + 2**-5) * np.abs(right) + 2e-5)


@pytest.mark.parametrize("x", [0.0, -0.0, -40.0, -3e38, 3e38, -math.inf, math.inf, math.nan])
def test_the_ends_and_what_is_no_number(x):
    value, slope = jax.value_and_grad(lambda x: gelu(x).astype(jnp.float32))(jnp.bfloat16(x))
    assert math.isnan(value) if math.isnan(x) else value == max(jnp.bfloat16(x), 0)
    assert math.isnan(slope) if math.isnan(x) else slope == (1 if x > 0 else 0.5 * (x == 0))


def test_float32_is_what_jax_gives():
    x = jnp.linspace(-8, 8, 1001)
    assert jnp.array_equal(gelu(x), jax.nn.gelu(x, approximate=False))
    [given] = jax.vjp(gelu, x)[1](jnp.ones_like(x))
    np.testing.assert_allclose(given, exact(np.asarray(x, np.float64))[1], atol=2e-7)


@pytest.mark.parametrize("deviation", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("mean", [0.0, -1.0])
def test_the_one_by_tanh_of_a_sum_is_nearer_than_the_exact_one_of_the_rounded_sum(mean, deviation):
    """What XLA computes within a product, before it rounds, against what it would read of it."""
    x = np.random.default_rng(0).normal(mean, deviation, 100_000)
    right, _ = exact(x)
    within = jax.nn.gelu(jnp.asarray(x, jnp.float32)).astype(jnp.bfloat16)
    after = gelu(jnp.asarray(x, jnp.bfloat16))
    errors = [np.sqrt(np.mean((np.asarray(y, np.float64) - right) ** 2)) for y in (within, after)]
    assert errors[0] < errors[1]
