"""Self-attention: softmax(q k^T / sqrt(d)) v by the kernel that suits the backend."""

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp

_QUERIES = 256  # that the backward pass in a fixed order takes at a time, at most
# A processor takes so many at a time, from so many tokens on. On two cores of an EPYC (Zen 3, jax
# 0.10.2), 1,568 tokens, 6 heads of 64, float32: 70 ms of processor time a clip instead of 320, and
# 10 MiB instead of 112; in blocks of 196 95 ms.
_QUERIES_CPU = 400
_LONG = 512
# The backend that shapes are traced for; None: the one that computes.
_planned: contextvars.ContextVar[str | None] = contextvars.ContextVar("planned", default=None)


Kernel = Literal["cudnn", "blocks", "xla"]


def attention_kernel(
    backend: str,
    dtype: jnp.dtype,
    length: int,
    head_width: int,
    differentiable: bool,
    devices: int = 1,
) -> Kernel:
    """Chooses "cudnn" (flash attention, linear memory) wherever cuDNN takes the shapes.

    cuDNN wants half precision, a head width that is a multiple of 8 and at most 128 (256 only from
    Hopper on) and, where a gradient is asked for, an even length. A single processor takes long
    sequences of which no gradient is asked for in "blocks"; all else is "xla".
    """
    if backend == "cpu" and length >= _LONG and not differentiable and devices <= 1:
        return "blocks"
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
    """Unmasked attention of some tokens, or all, to all of them; softmax in float32.

    Args:
        query: [B, Q, heads, head_width].
        key, value: [B, N, heads, head_width].
        differentiable: whether a gradient will be taken.
        deterministic: whether the gradient must be the same, to the bit, at every call.

    Returns:
        [B, Q, heads, head_width].
    """
    kernel = _kernel_for(query, key, differentiable)
    if kernel == "cudnn" and _planned.get() is not None:
        return _kept_as_by_cudnn(query, key, value)
    if kernel == "cudnn" and differentiable and deterministic:
        return attend_in_order(query, key, value)
    if kernel == "blocks":
        return _attend_in_blocks(query, key, value)
    return jax.nn.dot_product_attention(query, key, value, implementation=kernel)


def traced_for() -> str:
    """The backend that will compute what is traced now; "any" for every one."""
    return _planned.get() or jax.default_backend()


def _kernel_for(query: jax.Array, key: jax.Array, differentiable: bool) -> Kernel:
    """The one that both lengths suit, and the GPU that is here."""
    backend = traced_for()
    if backend == "gpu" and _planned.get() is None and not _has_flash(jax.local_devices()[0]):
        return "xla"
    devices = jax.sharding.get_abstract_mesh().size
    of_query, of_key = (
        attention_kernel(backend, x.dtype, x.shape[1], x.shape[-1], differentiable, devices)
        for x in (query, key)
    )
    return of_query if of_query == of_key else "xla"


def _has_flash(device: jax.Device) -> bool:
    """Whether cuDNN has flash attention on a GPU: from compute capability 8.0 on (not on a T4)."""
    major, point, _ = str(getattr(device, "compute_capability", "")).partition(".")
    return bool(point) and major.isdigit() and int(major) >= 8


def _attend_in_blocks(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """A head and some queries at a time, whose probabilities stay in the processor's cache."""
    batch, length, heads, width = query.shape
    blocks = math.ceil(length / _QUERIES_CPU)
    some = math.ceil(length / blocks)

    def by_head(x: jax.Array) -> jax.Array:
        return x.astype(jnp.float32).swapaxes(1, 2).reshape(batch * heads, x.shape[1], width)

    def of_head(head: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        asked, keys, values = head

        def of_block(asked: jax.Array) -> jax.Array:
            match = asked @ keys.T
            share = jnp.exp(match - match.max(-1, keepdims=True))
            return (share @ values) / share.sum(-1, keepdims=True)

        return jax.lax.map(of_block, asked)

    asked = jnp.pad(by_head(query) * width**-0.5, ((0, 0), (0, blocks * some - length), (0, 0)))
    asked = asked.reshape(-1, blocks, some, width)
    found = jax.lax.map(of_head, (asked, by_head(key), by_head(value)))
    found = found.reshape(batch, heads, blocks * some, width)[:, :, :length]
    return found.swapaxes(1, 2).astype(query.dtype)


@contextlib.contextmanager
def planned_for(backend: str) -> Iterator[None]:
    """Inside, shapes are traced as they would be on another backend; nothing can be computed."""
    token = _planned.set(backend)
    try:
        yield
    finally:
        _planned.reset(token)


@contextlib.contextmanager
def as_anywhere() -> Iterator[None]:
    """Inside, attention is traced as the operations that every backend and program knows."""
    with planned_for("any"):
        yield


@jax.custom_vjp
def _kept_as_by_cudnn(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Attention that has the shapes of cuDNN's, and of what that keeps, and no other likeness."""
    return query + jnp.sum(key + value, axis=1, keepdims=True)


def _forward_kept(
    query: jax.Array, key: jax.Array, value: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    batch, length, heads, _ = query.shape
    attended = _kept_as_by_cudnn(query, key, value)
    return attended, (query, key, value, attended, jnp.zeros((batch, heads, length), jnp.float32))


def _backward_kept(kept: tuple[jax.Array, ...], grad: jax.Array) -> tuple[jax.Array, ...]:
    _, key, value, *_ = kept
    return grad, key, value


_kept_as_by_cudnn.defvjp(_forward_kept, _backward_kept)


@jax.custom_vjp
def attend_in_order(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """`attend` with a gradient whose sums are taken in a fixed order.

    cuDNN's backward pass adds up the queries' gradients in whatever order its blocks end. It has a
    form that does not, which XLA can ask for in only one of several calls of one shape (the others
    then fail: https://github.com/openxla/xla/pull/46500).
    """
    if _kernel_for(query, key, differentiable=False) == "cudnn":
        return jax.nn.dot_product_attention(query, key, value, implementation="cudnn")
    return jax.nn.dot_product_attention(query, key, value, implementation="xla")


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
