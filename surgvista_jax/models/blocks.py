"""The pre-norm transformer that encoder, decoders and teacher share: a stack of equal blocks."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from surgvista_jax.models.float8 import COLLECTION
from surgvista_jax.models.layers import (
    REMAT_POLICIES,
    Attention,
    ComputeConfig,
    Mlp,
    Pick,
    TransformerConfig,
    all_tokens,
)
from surgvista_jax.models.logical_axes import with_axes
from surgvista_jax.models.memory_order import row_major
from surgvista_jax.models.norm import LayerNorm


class Block(nn.Module):
    """x + drop(scale * attention(norm(x))), then the same with the MLP."""

    config: TransformerConfig
    dtype: Dtype
    deterministic: bool = False
    float8: bool = False

    def kept(self, drop_rate: jax.Array, samples: int) -> jax.Array:
        """By what drop path multiplies both branches of each sample: [2, samples, 1, 1]."""
        draws = [
            jax.random.bernoulli(self.make_rng("drop_path"), 1 - drop_rate, (samples, 1, 1))
            for _ in range(2)
        ]
        return jnp.stack(draws) / (1 - drop_rate)

    def _branch(self, x: jax.Array, name: str, kept: jax.Array | None) -> jax.Array:
        if self.config.layer_scale:
            start = nn.initializers.constant(self.config.layer_scale)
            init = with_axes(start, (None,))
            scale = self.param(name, init, (self.config.width,)).astype(x.dtype)
            x = x * scale[None, None]
        return x if kept is None else x * kept.astype(x.dtype)

    @nn.compact
    def __call__(
        self, x: jax.Array, kept: jax.Array | None, train: bool, pick: Pick = all_tokens
    ) -> tuple[jax.Array, None]:
        """The tokens that `pick` takes, of all that attend to one another.

        Args:
            x: [B, N, D].
            kept: of the method of that name; None: nothing is dropped.
            train: asks for gradients.
        """
        x = row_major(nn.with_logical_constraint(x, ("batch", None, None)))
        of_attention, of_mlp = (None, None) if kept is None else kept
        y = LayerNorm(self.dtype, self.config.norm_epsilon, name="attention_norm")(x)
        y = Attention(self.config, self.dtype, self.deterministic, self.float8, name="attention")(
            y, train, pick
        )
        x = row_major(pick(x) + self._branch(y, "attention_scale", of_attention))
        y = LayerNorm(self.dtype, self.config.norm_epsilon, name="mlp_norm")(x)
        y = Mlp(self.config, self.dtype, self.float8, name="mlp")(y, train)
        x = x + self._branch(y, "mlp_scale", of_mlp)
        return x, None


class Transformer(nn.Module):
    """A scan over `depth` blocks, whose parameters are stacked along a leading axis "layers".

    Unrolled or not, the parameters have the same names and shapes. With `float8` their products are
    those of 8-bit floats, and there is no gradient.
    """

    config: TransformerConfig
    compute: ComputeConfig
    float8: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, pick: Pick = all_tokens) -> jax.Array:
        """Runs all blocks; of the last, only what the tokens need that are asked for.

        Args:
            x: [B, N, D].
            train: asks for drop path and for gradients.
            pick: takes tokens, [B, N, F] -> [B, I, F], whatever F is.

        Returns:
            [B, I, D], or all [B, N, D].
        """
        depth, unroll = self.config.depth, self.compute.unroll
        block = Block
        if self.compute.remat != "none":
            block = nn.remat(
                Block,
                policy=REMAT_POLICIES[self.compute.remat],
                # Inside a loop nothing can be merged with the forward pass; unrolled it can.
                prevent_cse=unroll,
                static_argnums=(3, 4),  # train, pick
            )
        dtype = jnp.dtype(self.compute.dtype)
        sizes = (self.config, dtype, self.compute.deterministic, self.float8)
        stack, x = block(*sizes, name="blocks"), x.astype(dtype)
        kept = self._kept(stack, len(x)) if train and self.config.drop_path else None
        if pick is not all_tokens and unroll and not self.is_initializing():
            own = {kind: of["blocks"] for kind, of in self.variables.items()}
            for i, variables in enumerate(_layers(own, depth)):
                last = pick if i == depth - 1 else all_tokens
                factors = None if kept is None else kept[i]
                x, _ = block(*sizes, parent=None).apply(variables, x, factors, train, last)
            return x
        blocks = nn.scan(
            lambda stack, x, kept: stack(x, kept, train, all_tokens),
            variable_axes={"params": 0, COLLECTION: 0},
            split_rngs={"params": True},
            length=depth,
            unroll=depth if unroll else 1,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        return pick(blocks(stack, x, kept)[0])

    def _kept(self, stack: Block, samples: int) -> jax.Array:
        """`Block.kept` of each block: [depth, 2, samples, 1, 1]."""
        draw = nn.vmap(
            lambda stack, rate: stack.kept(rate, samples),
            variable_axes={},
            split_rngs={"drop_path": True},
        )
        return draw(stack, jnp.linspace(0.0, self.config.drop_path, self.config.depth))


def _layers(stacked: Any, depth: int) -> list[Any]:
    """The variables of each layer; cut in one piece, so that gradients are joined in one, too."""
    leaves, form = jax.tree.flatten(stacked)
    cut = [jax.lax.split(leaf, (1,) * depth) for leaf in leaves]
    return [jax.tree.unflatten(form, [parts[i][0] for parts in cut]) for i in range(depth)]
