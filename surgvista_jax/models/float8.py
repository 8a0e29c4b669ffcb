"""Matrix products of 8-bit floats, twice as fast as bfloat16's, for models that get no gradient.

Both factors are rounded to E4M3 (4 bits of exponent, 3 of mantissa; Micikevicius et al., "FP8
Formats for Deep Learning", 2022), each scaled as a whole by a power of two. A kernel's scale comes
from its own numbers; an input's from its mean, and the largest distance from it, when the model
looked at real frames.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

Product = Callable[[jax.Array, jax.Array | None], jax.Array]  # kernel, bias -> x @ kernel + bias

# The variables of a model, beside its parameters, that hold what goes into each product.
COLLECTION = "float8"
_TYPE = jnp.float8_e4m3fn
_LARGEST = 448.0  # of E4M3
_ROOM = 2.0  # for inputs that are larger than any that was seen; a float loses nothing by it
_LEAST_CAPABILITY = (8, 9)  # of GPUs that multiply 8-bit floats


def is_fast_on(device: Any) -> bool:
    """Whether a device multiplies 8-bit floats itself: NVIDIA's from Ada and Hopper on."""
    numbers = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(device, "compute_capability", "")))
    return numbers is not None and tuple(map(int, numbers.groups())) >= _LEAST_CAPABILITY


def multiply(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None,
    precision: jax.lax.Precision | None = None,
) -> jax.Array:
    """x @ kernel + bias, in the type of x and kernel."""
    product = jnp.matmul(x, kernel, precision=precision)
    if bias is None:
        return product
    return product + jnp.expand_dims(bias, range(product.ndim - 1)).astype(product.dtype)


def multiplier(module: nn.Module, name: str, x: jax.Array, centred: bool = True) -> Product:
    """What multiplies x by a kernel and adds a bias: [..., D], [D, F], [F] -> [..., F] in x's type.

    What is rounded is the distance of x from its mean, which goes into the product as it is: where
    tokens have much in common, that alone would have most of the digits. Not `centred`, x itself is
    rounded, which XLA does where x is computed, and the rounding of the kernel alone is put right
    for the mean.

    Where the collection may change, x's mean and the largest number to be rounded are noted under
    `name` in it, and the products are those of x's own type.
    """
    mean = module.variable(COLLECTION, f"{name}_mean", lambda: jnp.zeros(x.shape[-1], jnp.float32))
    largest = module.variable(COLLECTION, f"{name}_largest", lambda: jnp.zeros((), jnp.float32))
    if module.is_mutable_collection(COLLECTION):
        wide, axes = x.astype(jnp.float32), tuple(range(x.ndim - 1))
        mean.value = jnp.mean(wide, axis=axes)
        rounded = wide - jnp.expand_dims(mean.value, axes) if centred else wide
        largest.value = jnp.max(jnp.abs(rounded))
        return partial(multiply, x)
    common = mean.value.astype(x.dtype)
    distance = x - jnp.expand_dims(common, range(x.ndim - 1)) if centred else x
    scaled = _rounded(distance, _ROOM * largest.value)

    def multiply_rounded(kernel: jax.Array, bias: jax.Array | None) -> jax.Array:
        # XLA takes the products of such dequantised numbers for products of 8-bit floats, and the
        # scales and one bias into them: what is common is added to the bias first.
        small = _rounded(kernel, jnp.max(jnp.abs(kernel)))
        lost = kernel if centred else kernel - small  # exact: both are near one another
        shift = jnp.matmul(common, lost)
        if bias is not None:
            shift += bias.astype(x.dtype)
        return multiply(scaled, small, shift)

    return multiply_rounded


def images_to_fill(rows: int, images: int, tokens: int) -> int:
    """How many more images each row needs for a device's tokens to be a multiple of 16.

    XLA pads the inputs of each product where they are none. 0 where that is cheaper: where more
    than an eighth would be added.
    """
    more = next(n for n in range(16) if rows * (images + n) * tokens % 16 == 0)
    return more if 8 * more <= images else 0


def _rounded(x: jax.Array, largest: jax.Array) -> jax.Array:
    """x as 8-bit floats hold it, times their scale again, in x's type; cut off at `largest`."""
    # A power of two, which every type holds as it is.
    _, exponent = jnp.frexp(largest.astype(jnp.float32) / _LARGEST)
    scale = jnp.ldexp(jnp.float32(1), exponent).astype(x.dtype)
    small = jnp.clip(x / scale, -_LARGEST, _LARGEST).astype(_TYPE)
    return small.astype(x.dtype) * scale
