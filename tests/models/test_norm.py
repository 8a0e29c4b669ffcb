"""Is the layer norm that keeps little the layer norm, with its gradients?"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.models.norm import LayerNorm


def both(dtype):
    ours = LayerNorm(dtype, 1e-5)
    theirs = nn.LayerNorm(epsilon=1e-5, dtype=dtype, use_fast_variance=False)
    draw = np.random.default_rng(0).normal
    params = {"scale": jnp.asarray(draw(1, 0.3, 48), jnp.float32)}
    params["bias"] = jnp.asarray(draw(0, 0.3, 48), jnp.float32)
    x = jnp.asarray(draw(3, 2, (2, 5, 48)), dtype)  # a mean that matters
    weights = jnp.asarray(draw(0, 1, (2, 5, 48)), jnp.float32)

    def loss(module):
        return lambda params, x: jnp.sum(module.apply({"params": params}, x) * weights)

    return ours, theirs, params, x, loss


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_output_is_flax_own_to_the_bit(dtype):
    ours, theirs, params, x, _ = both(dtype)
    given, right = (module.apply({"params": params}, x) for module in (ours, theirs))
    assert given.dtype == dtype and jnp.array_equal(given, right)


def test_one_reading_of_a_bfloat16_row_loses_no_digit_of_it():
    far, near = np.full(64, 1000.0), np.linspace(-1, 1, 64)
    far[::3] += 4  # the mean is 500 deviations away from 0
    outlier = np.concatenate([[64.0], near[1:]])  # what distances are taken from is far from all
    rows = jnp.asarray(np.stack([far, near, outlier, np.full(64, 7.0)]), jnp.bfloat16)
    params = {"scale": jnp.ones(64), "bias": jnp.zeros(64)}
    given = LayerNorm(jnp.float32, 1e-6).apply({"params": params}, rows)
    exact = np.asarray(rows, np.float64)
    exact = exact - exact.mean(-1, keepdims=True)
    exact /= np.sqrt((exact**2).mean(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(given, exact, rtol=2**-12, atol=2**-16)


@pytest.mark.parametrize(("dtype", "rounding"), [(jnp.float32, 1e-5), (jnp.bfloat16, 2**-6)])
def test_the_gradients_are_those_that_are_derived(dtype, rounding):
    ours, theirs, params, x, loss = both(dtype)
    given, right = (jax.grad(loss(module), (0, 1))(params, x) for module in (ours, theirs))
    for a, b in zip(jax.tree.leaves(given), jax.tree.leaves(right), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(
            np.asarray(a, np.float32), np.asarray(b, np.float32), rtol=rounding, atol=rounding
        )


def test_little_is_kept_for_the_gradient():
    ours, theirs, params, x, loss = both(jnp.bfloat16)

    def kept(module) -> int:
        _, pullback = jax.vjp(loss(module), params, x)
        return sum(leaf.nbytes for leaf in jax.tree.leaves(pullback) if leaf.ndim == 3)

    assert kept(ours) < kept(theirs) / 2
