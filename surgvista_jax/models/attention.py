"""Self-attention: softmax(q k^T / sqrt(d)) v by the kernel that suits the backend."""

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp

_QUERIES = 256  # that the backward pass in a fixed order takes at a time, at most
# The backend that shapes are traced for; None: the one that computes.
_planned: contextvars.ContextVar[str | None] = contextvars.ContextVar("planned", default=None)


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
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    differentiable: bool,
    deterministic: bool = False,
) -> jax.Array:
    """Unmasked self-attention, softmax in float32.

    Args:
        query, key, value: [B, N, heads, head_width].
        differentiable: whether a gradient will be taken.
        deterministic: whether the gradient must be the same, to the bit, at every call.

    Returns:
        [B, N, heads, head_width].
    """
    kernel = _kernel_for(query, differentiable)
    if kernel == "cudnn" and _planned.get() is not None:
        return _kept_as_by_cudnn(query, key, value)
    if kernel == "cudnn" and differentiable and deterministic:
        return attend_in_order(query, key, value)
    return jax.nn.dot_product_attention(query, key, value, implementation=kernel)


def _kernel_for(query: jax.Array, differentiable: bool) -> Literal["cudnn", "xla"]:
    _, length, _, head_width = query.shape
    backend = _planned.get() or jax.default_backend()
    return attention_kernel(backend, query.dtype, length, head_width, differentiable)


@contextlib.contextmanager
def planned_for(backend: str) -> Iterator[None]:
    """Inside, shapes are traced as they would be on another backend; nothing can be computed."""
    token = _planned.set(backend)
    try:
        yield
    finally:
        _planned.reset(token)


@jax.custom_vjp
def _kept_as_by_cudnn(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Attention that has the shapes of cuDNN's, and of what that keeps, and no other likeness."""
    return query + key + value


def _forward_kept(
    query: jax.Array, key: jax.Array, value: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    batch, length, heads, _ = query.shape
    attended = _kept_as_by_cudnn(query, key, value)
    return attended, (query, key, value, attended, jnp.zeros((batch, heads, length), jnp.float32))


def _backward_kept(kept: tuple[jax.Array, ...], grad: jax.Array) -> tuple[jax.Array, ...]:
    return grad, grad, grad


_kept_as_by_cudnn.defvjp(_forward_kept, _backward_kept)


@jax.custom_vjp
def attend_in_order(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """`attend` with a gradient whose sums are taken in a fixed order.

    cuDNN's backward pass adds up the queries' gradients in whatever order its blocks end. It has a
    form that does not, which XLA can ask for in only one of several calls of one shape (the others
    then fail: https://github.com/openxla/xla/pull/46500).
    """
    kernel = _kernel_for(query, differentiable=False)
    return jax.nn.dot_product_attention(query, key, value, implementation=kernel)


def _forward(
    query: jax.Array, key: jax.Array, value: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    return attend_in_order(query, key, value), (query, key, value)


def _backward(kept: tuple[jax.Array, ...], grad: jax.Array) -> tuple[jax.Array, ...]:
    """Some queries at a time, so that only their probabilities are held: [B, heads, some, N]."""
    query, key, value = kept
    batch, length, heads, width = query.shape
    scale = width**-0.5
    blocks = math.ceil(length / _QUERIES)
    some = math.ceil(length / blocks)

    def cut(x: jax.Array) -> jax.Array:  # padded with queries without a gradient, which add 0
        padded = jnp.pad(x, ((0, 0), (0, blocks * some - length), (0, 0), (0, 0)))
        return padded.reshape(batch, blocks, some, heads, width).swapaxes(0, 1)

    def product(spec: str, *factors: jax.Array) -> jax.Array:
        return jnp.einsum(spec, *factors, preferred_element_type=jnp.float32)

    def add(sums: tuple[jax.Array, jax.Array], block: tuple[jax.Array, jax.Array]) -> Any:
        asked, grad = block
        share = jax.nn.softmax(product("bqhd,bkhd->bhqk", asked, key) * scale, axis=-1)
        of_share = product("bqhd,bkhd->bhqk", grad, value)
        inner = (share * of_share).sum(-1, keepdims=True)
        of_score = (share * (of_share - inner) * scale).astype(query.dtype)
        of_key = sums[0] + product("bhqk,bqhd->bkhd", of_score, asked)
        of_value = sums[1] + product("bhqk,bqhd->bkhd", share.astype(query.dtype), grad)
        return (of_key, of_value), product("bhqk,bkhd->bqhd", of_score, key).astype(query.dtype)

    zeros = jnp.zeros(key.shape, jnp.float32)
    sums, of_query = jax.lax.scan(add, (zeros, zeros), (cut(query), cut(grad)))
    of_query = of_query.swapaxes(0, 1).reshape(batch, blocks * some, heads, width)[:, :length]
    return of_query, sums[0].astype(key.dtype), sums[1].astype(value.dtype)


attend_in_order.defvjp(_forward, _backward)
