"""What does a stack of blocks keep for its backward pass, all in all and block by block?"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.models.blocks import Block
from surgvista_jax.models.layers import (
    REMAT_POLICIES,
    ComputeConfig,
    TransformerConfig,
    all_tokens,
)


@dataclasses.dataclass(frozen=True)
class Stack:
    """A stack of blocks that gets a gradient.

    Attributes:
        config: its sizes.
        tokens: of one clip.
        branch: whether it stands beside others behind the same stack, with a loss of its own: a
            compiler computes such one after the other, so that only one keeps what it needs.
    """

    config: TransformerConfig
    tokens: int
    branch: bool = False


@dataclasses.dataclass(frozen=True)
class Kept:
    """Bytes of one clip, by tracing shapes alone.

    Attributes:
        traced: what all stacks keep together, as their trace has it.
        at_once: what is kept at one time: of branches the largest alone.
        recomputed: what the backward pass computes anew and holds for a block at a time.
    """

    traced: float = 0.0
    at_once: float = 0.0
    recomputed: float = 0.0


def kept_by(stacks: Sequence[Stack], compute: ComputeConfig) -> Kept:
    """What stacks keep of one clip."""
    sizes = [stack.config.depth * _of_block(stack, compute, compute.remat) for stack in stacks]
    branches = [size for stack, size in zip(stacks, sizes, strict=True) if stack.branch]
    recomputed = 0.0
    if compute.remat != "none":
        recomputed = max((_of_block(stack, compute, "none") for stack in stacks), default=0.0)
    at_once = sum(sizes) - sum(branches) + max(branches, default=0.0)
    return Kept(sum(sizes), at_once, recomputed)


def _of_block(stack: Stack, compute: ComputeConfig, remat: str) -> float:
    module: Any = Block
    if remat != "none":
        module = nn.remat(Block, policy=REMAT_POLICIES[remat], static_argnums=(3, 4))
    dtype = jnp.dtype(compute.dtype)
    block = module(stack.config, dtype, compute.deterministic)

    def size(clips: int) -> int:
        kept = jnp.ones((2, clips, 1, 1)) if stack.config.drop_path else None

        def backward(params: Any, x: jax.Array) -> Any:
            def forward(params: Any, x: jax.Array) -> jax.Array:
                return block.apply({"params": params}, x, kept, True, all_tokens)[0]

            return jax.vjp(forward, params, x)[1]

        x = jax.ShapeDtypeStruct((clips, stack.tokens, stack.config.width), dtype)
        params = jax.eval_shape(
            lambda x: nn.unbox(block.init(jax.random.key(0), x, None, False, all_tokens)), x
        )["params"]
        leaves = jax.tree.leaves(jax.eval_shape(backward, params, x))
        return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)

    return (size(4) - size(2)) / 2
