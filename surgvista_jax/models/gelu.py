"""The exact GELU, x Phi(x), as one cheap pass in bfloat16 that keeps only its input.

Phi is the normal distribution. XLA computes erfc by two rational forms of which one is thrown away;
in a ViT that costs as much as a tenth of its matrix products. Where numbers have eight bits, one
quotient is exact to the last of them: Phi(-a) = exp(-a^2 / 2) R(a), a >= 0, and R is smooth.
"""

import functools
import math

import jax
import jax.numpy as jnp

from surgvista_jax.models.float8 import multiply

# R(a) by the quotient of these polynomials, lowest power first: the smallest largest relative
# error (2.5e-5, a hundredth of bfloat16's rounding) on 0 <= a <= 14, from where on exp vanishes.
_OVER = (0.5000120391831531, 0.2782339253147791, 0.06250894718364917)
_UNDER = (1.0, 1.3551011963960184, 0.702513782533468, 0.15651012632337244)
_DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)


@jax.custom_vjp
def gelu(x: jax.Array) -> jax.Array:
    """x Phi(x) in x's type: bfloat16 right to its last bit but for ties, others by erfc."""
    return _value_and_slope(x)[0]


def _tail(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """float32 a >= 0 -> Phi(-a) and exp(-a^2 / 2)."""
    bell = jnp.exp(-0.5 * a * a)
    root = jax.lax.rsqrt(_polynomial(_UNDER, a))  # one instruction of a GPU, a quotient ten
    return bell * (_polynomial(_OVER, a) * (root * root)), bell


def _polynomial(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    result = jnp.float32(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result = result * x + coefficient
    return result


def _forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return gelu(x), x


def _backward(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    # Without the barrier XLA keeps float32 parts of the forward pass, not computing them anew.
    _, slope = _value_and_slope(jax.lax.optimization_barrier(x))
    return ((cotangent.astype(jnp.float32) * slope).astype(x.dtype),)


gelu.defvjp(_forward, _backward)


def _value_and_slope(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """gelu(x) in x's type, and its slope in float32, of parts that both share."""
    wide = x.astype(jnp.float32)
    if x.dtype != jnp.bfloat16:
        phi = 0.5 * jax.lax.erfc(-wide * math.sqrt(0.5))
        value = jax.nn.gelu(x, approximate=False)
        return value, phi + _DENSITY_AT_0 * wide * jnp.exp(-0.5 * wide * wide)
    a = jnp.minimum(jnp.abs(wide), 14.0)  # nothing is left of the tail, no power is infinite
    tail, bell = _tail(a)
    value = (jnp.maximum(wide, 0) - a * tail).astype(x.dtype)
    phi = jnp.where(wide > 0, 1 - tail, tail)
    return value, phi + _DENSITY_AT_0 * jnp.clip(wide, -14, 14) * bell


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def multiply_gelu(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, precision: jax.lax.Precision | None = None
) -> jax.Array:
    """gelu(x) @ kernel + bias, whose backward pass keeps x and makes gelu(x) anew.

    It is made in the pass that multiplies by its slope: x is read, and its exponential taken, once,
    in XLA for arrays of two axes, of others only for large ones.
    """
    return multiply(gelu(x), kernel, bias, precision)


def _forward_product(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, precision: jax.lax.Precision | None
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    return multiply_gelu(x, kernel, bias, precision), (x, kernel, bias)


def _backward_product(
    precision: jax.lax.Precision | None, kept: tuple[jax.Array, ...], cotangent: jax.Array
) -> tuple[jax.Array, ...]:
    x, kernel, bias = kept
    shape = x.shape
    x, cotangent = (rows.reshape(-1, rows.shape[-1]) for rows in (x, cotangent))
    grad = multiply(cotangent, kernel.T, None, precision)
    x, grad = jax.lax.optimization_barrier((x, grad))  # nothing of x before the product is there
    value, slope = _value_and_slope(x)
    _, pull = jax.vjp(lambda *others: multiply(value, *others, precision), kernel, bias)
    return (grad.astype(jnp.float32) * slope).astype(x.dtype).reshape(shape), *pull(cotangent)


multiply_gelu.defvjp(_forward_product, _backward_product)
