"""Layer norm with float32 statistics that keeps little for its backward pass.

Written out, its backward pass keeps several float32 copies of its input; here it keeps the input
as it came, and a mean and a deviation a row. A bfloat16 input is read once for both of them.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from surgvista_jax.models.logical_axes import with_axes


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def normalise_rows(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float, dtype: Dtype
) -> jax.Array:
    """Normalises the last axis of x: [..., D] -> [..., D] in `dtype`; scale and bias are [D]."""
    return _forward(x, scale, bias, epsilon, dtype)[0]


def _forward(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float, dtype: Dtype
) -> tuple[jax.Array, tuple]:
    wide = x.astype(jnp.float32)
    mean, variance = _moments(wide, once=x.dtype == jnp.bfloat16)
    inverse = jax.lax.rsqrt(variance + epsilon)
    result = (wide - mean) * (inverse * _as_row(scale, x)) + _as_row(bias, x)
    return result.astype(dtype), (x, scale, bias, mean, inverse)


def _moments(x: jax.Array, once: bool) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of the rows of float32 [..., D]: [..., 1].

    `once`: both from sums over one reading. Not E[x^2] - E[x]^2, which loses digits where the mean
    is large, but that of distances from a member of the row: none is further than sqrt(D)
    deviations from the mean, so that at most D of 2^24 parts of the variance are lost, a small
    share of a bfloat16's rounding.
    """
    if not once:
        mean = jnp.mean(x, axis=-1, keepdims=True)
        return mean, jnp.mean((x - mean) ** 2, axis=-1, keepdims=True)
    member = x[..., :1]
    distance = x - member
    first = jnp.mean(distance, axis=-1, keepdims=True)
    second = jnp.mean(distance * distance, axis=-1, keepdims=True)
    return member + first, jnp.maximum(second - first * first, 0)


def _backward(epsilon: float, dtype: Dtype, kept: tuple, cotangent: jax.Array) -> tuple:
    # Without the barrier XLA keeps float32 copies of x instead of making them anew.
    x, scale, bias, mean, inverse = jax.lax.optimization_barrier(kept)
    cotangent = cotangent.astype(jnp.float32)
    normal = (x.astype(jnp.float32) - mean) * inverse
    scaled = cotangent * _as_row(scale, x)
    # Without this one XLA makes a kernel of Triton of it, at 40 % of the memory's speed, and reads
    # all again for the gradients of scale and bias.
    sums = tuple(jnp.sum(part, -1, keepdims=True) for part in (scaled, scaled * normal))
    common, along = jax.lax.optimization_barrier(sums)
    dx = inverse * (scaled - (common + normal * along) * (1 / x.shape[-1]))
    rows = tuple(range(x.ndim - 1))
    dscale, dbias = jnp.sum(cotangent * normal, axis=rows), jnp.sum(cotangent, axis=rows)
    return dx.astype(x.dtype), dscale.astype(scale.dtype), dbias.astype(bias.dtype)


def _as_row(parameter: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.expand_dims(parameter, range(x.ndim - 1))


normalise_rows.defvjp(_forward, _backward)


class LayerNorm(nn.Module):
    """Scales and shifts each row to mean `bias` and deviation `scale`; statistics in float32."""

    dtype: Dtype
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: [..., D] -> [..., D] in `dtype`."""
        width = (x.shape[-1],)
        scale = self.param("scale", with_axes(nn.initializers.ones, (None,)), width)
        bias = self.param("bias", with_axes(nn.initializers.zeros, (None,)), width)
        return normalise_rows(x, scale, bias, self.epsilon, self.dtype)
