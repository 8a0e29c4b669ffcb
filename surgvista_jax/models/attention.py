"""Self-attention: softmax(q k^T / sqrt(d)) v by the kernel that suits the backend."""

from typing import Literal

import jax
import jax.numpy as jnp


def attention_kernel(
    backend: str, dtype: jnp.dtype, length: int, head_width: int, differentiable: bool
) -> Literal["cudnn", "xla"]:
    """Chooses "cudnn" (flash attention, linear memory) wherever cuDNN takes the shapes, else "xla".

    cuDNN wants half precision, a head width that is a multiple of 8 and at most 128 (256 only from
    Hopper on) and, where a gradient is asked for, an even length.
    """
    fits = (
        backend == "gpu"
        and dtype in (jnp.bfloat16, jnp.float16)
        and head_width % 8 == 0
        and head_width <= 128
        and (length % 2 == 0 or not differentiable)
    )
    return "cudnn" if fits else "xla"


def attend(
    query: jax.Array, key: jax.Array, value: jax.Array, *, differentiable: bool
) -> jax.Array:
    """Unmasked self-attention, softmax in float32.

    Args:
        query, key, value: [B, N, heads, head_width].
        differentiable: whether a gradient will be taken.

    Returns:
        [B, N, heads, head_width].
    """
    _, length, _, head_width = query.shape
    kernel = attention_kernel(
        jax.default_backend(), query.dtype, length, head_width, differentiable
    )
    return jax.nn.dot_product_attention(query, key, value, implementation=kernel)
