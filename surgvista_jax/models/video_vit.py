"""The student: a video ViT that sees only the tokens it is given."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.models.layers import (
    ComputeConfig,
    Linear,
    Transformer,
    TransformerConfig,
    layer_norm,
    token_initializer,
)
from surgvista_jax.models.positions import TABLES

# width, depth and heads by name (ViT-S, -B, -L, -H).
SIZES = {
    "small": {"width": 384, "depth": 12, "heads": 6},
    "base": {"width": 768, "depth": 12, "heads": 12},
    "large": {"width": 1024, "depth": 24, "heads": 16},
    "huge": {"width": 1280, "depth": 32, "heads": 16},
}


def patch_kernel_init(key: jax.Array, shape: tuple[int, int], dtype=jnp.float32) -> jax.Array:
    """Uniform within 1/sqrt(P), as convolutions start in the method's reference: [P, D]."""
    bound = shape[0] ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class VideoEncoder(nn.Module):
    """Embeds tubelets, adds their positions, and runs the blocks and a final norm.

    Attributes:
        config: sizes of the transformer.
        compute: how it is computed.
        grid: tokens along (t, h, w) of the whole clip.
        positions: form of the fixed position table, "separable" or "flat".
        class_token: prepends a learned token without a position.
    """

    config: TransformerConfig
    compute: ComputeConfig
    grid: tuple[int, int, int]
    positions: str = "separable"
    class_token: bool = False

    @nn.compact
    def __call__(self, patches: jax.Array, ids: jax.Array, train: bool) -> jax.Array:
        """Encodes some tokens of a clip.

        Args:
            patches: [B, V, P] normalised pixels of the tokens to be seen.
            ids: int32 [B, V], their places in the grid.
            train: asks for drop path and for gradients.

        Returns:
            [B, V, D], or [B, 1 + V, D] with a class token.
        """
        dtype = jnp.dtype(self.compute.dtype)
        x = Linear(
            self.config.width,
            ("patch", "embed"),
            dtype,
            kernel_init=patch_kernel_init,
            name="patch_embedding",
        )(patches)
        positions = jnp.asarray(TABLES[self.positions](self.grid, self.config.width), dtype)
        x = x + positions[ids]
        if self.class_token:
            init = nn.with_logical_partitioning(token_initializer(), (None,))
            token = self.param("class_token", init, (self.config.width,)).astype(dtype)
            token = jnp.broadcast_to(token, (x.shape[0], 1, self.config.width))
            x = jnp.concatenate([token, x], axis=1)
        x = Transformer(self.config, self.compute, name="transformer")(x, train)
        return layer_norm(dtype, "norm")(x)
