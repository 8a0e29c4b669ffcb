"""Where a ViT looks: the attention of a block, of all or of an attentive head, as shares of tokens.

Pure functions of parameters beside the modules that train, which never hold these shares.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.models.blocks import Transformer
from surgvista_jax.models.float8 import multiply
from surgvista_jax.models.layers import ComputeConfig, Linear, TransformerConfig
from surgvista_jax.models.norm import LayerNorm
from surgvista_jax.models.patches import patchify, token_grid
from surgvista_jax.models.video_vit import EncoderConfig, VideoEncoder


def shares(query: jax.Array, key: jax.Array) -> jax.Array:
    """softmax(q k^T / sqrt(d)) in float32: [B, Q, heads, d], [B, N, heads, d] -> [B, heads, Q, N].

    Each row adds up to 1. It is what `attention.attend` multiplies the values with.
    """
    match = jnp.einsum("bqhd,bkhd->bhqk", query, key, preferred_element_type=jnp.float32)
    return jax.nn.softmax(match * query.shape[-1] ** -0.5, axis=-1)


def block_shares(
    config: EncoderConfig, compute: ComputeConfig, params: Mapping, video: jax.Array, block: int
) -> jax.Array:
    """What each token attends to in a block of a ViT backbone.

    Args:
        config: the encoder.
        compute: how it is computed.
        params: the encoder's own, as `backbones.VitBackbone` has them.
        video: normalised pixels [B, T, H, W, 3].
        block: from 0 to depth - 1.

    Returns:
        float32 [B, heads, N, N] with N tokens, a class token first: the rows attend.
    """
    before = tokens_before(config, compute, params, video, block)
    own = jax.tree.map(lambda leaf: leaf[block], params["transformer"]["blocks"])
    return _shares_of(config.transformer, compute, own, before)


def _shares_of(
    config: TransformerConfig, compute: ComputeConfig, own: Mapping, before: jax.Array
) -> jax.Array:
    """As `block_shares`, by the parameters of the block and the tokens that it is given."""
    norm = LayerNorm(jnp.dtype(compute.dtype), config.norm_epsilon)
    x: Any = norm.apply({"params": own["attention_norm"]}, before)
    query, key, _ = projections(config, own["attention"], x)
    return shares(query, key)


def rollout(
    config: EncoderConfig, compute: ComputeConfig, params: Mapping, video: jax.Array
) -> jax.Array:
    """From which tokens each one comes through all blocks of a ViT backbone.

    Attention rollout (Abnar and Zuidema, "Quantifying attention flow in transformers", 2020): the
    product of what is attended to in each block, mean over heads, where half of a token is always
    itself, as the residual branch keeps it. Values and MLPs do not count.

    Args:
        config, compute, params, video: as for `block_shares`.

    Returns:
        float32 [B, N, N], a class token first: rows of what comes out, which add up to 1.
    """
    one = Transformer(dataclasses.replace(config.transformer, depth=1), compute)

    def through(carry: tuple, own: Mapping) -> tuple[tuple, None]:
        x, paths = carry
        mean = _shares_of(config.transformer, compute, own, x).mean(1)
        paths = 0.5 * (paths + mean @ paths)  # [B, N, N]
        block = jax.tree.map(lambda leaf: leaf[None], own)
        return (one.apply({"params": {"blocks": block}}, x, False), paths), None

    x = tokens_before(config, compute, params, video, 0)
    itself = jnp.broadcast_to(jnp.eye(x.shape[1]), (len(x), x.shape[1], x.shape[1]))
    (_, paths), _ = jax.lax.scan(through, (x, itself), params["transformer"]["blocks"])
    return paths


def projections(
    config: TransformerConfig, params: Mapping, x: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Query, key and value [B, N, heads, d] that `layers.Attention` makes of its input x [B, N, D].

    Args:
        config: the sizes.
        params: those of one `layers.Attention`.
        x: in the type in which it is computed.
    """

    def part(number: int, letter: str) -> jax.Array:
        kernel = params["qkv_kernel"][:, number].reshape(config.width, config.width)
        bias = params[f"{letter}_bias"].reshape(-1) if f"{letter}_bias" in params else None
        flat = multiply(x, kernel.astype(x.dtype), bias)
        return flat.reshape(*x.shape[:-1], config.heads, config.width // config.heads)

    return part(0, "q"), part(1, "k"), part(2, "v")


def tokens_before(
    config: EncoderConfig, compute: ComputeConfig, params: Mapping, video: jax.Array, block: int
) -> jax.Array:
    """The tokens [B, N, D] that a block of a ViT backbone is given; see `block_shares`."""

    def stop(call: Any, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        # All that is before the blocks is the encoder's; its own blocks are left out.
        return args[0] if isinstance(context.module, Transformer) else call(*args, **kwargs)

    _, frames, height, width, _ = video.shape
    grid = token_grid(frames, height, width, config.tubelet, config.patch)
    encoder = VideoEncoder(dataclasses.replace(config, norm=False), compute, grid)
    with nn.intercept_methods(stop):
        patches = patchify(video, config.tubelet, config.patch)
        tokens: Any = encoder.apply({"params": params}, patches, None, False)
    if block == 0:
        return tokens.astype(compute.dtype)
    stack = Transformer(dataclasses.replace(config.transformer, depth=block), compute)
    first = jax.tree.map(lambda leaf: leaf[:block], params["transformer"])
    x: Any = stack.apply({"params": first}, tokens, False)
    return x


def pool_shares(
    heads: int, compute: ComputeConfig, params: Mapping, tokens: jax.Array
) -> jax.Array:
    """What the query of an attentive head attends to: tokens [B, N, D] -> float32 [B, heads, N].

    Args:
        heads: of the pool.
        compute: how it is computed.
        params: those of `heads.AttentivePool`.
        tokens: of the backbone.
    """
    dtype, width = jnp.dtype(compute.dtype), tokens.shape[-1]

    def project(x: jax.Array, name: str) -> jax.Array:
        linear = Linear(width, ("embed", "mlp"), dtype)
        found: Any = linear.apply({"params": params[name]}, x)
        return found.reshape(*x.shape[:-1], heads, width // heads)

    x: Any = LayerNorm(dtype).apply({"params": params["token_norm"]}, tokens)
    query = project(params["query"][None, None].astype(dtype), "query_projection")
    query = jnp.broadcast_to(query, (tokens.shape[0], *query.shape[1:]))
    return shares(query, project(x, "key_projection"))[:, :, 0]
