"""The teacher: a frozen image ViT that describes every patch of a frame."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.models.layers import (
    ComputeConfig,
    Linear,
    Transformer,
    TransformerConfig,
    token_initializer,
)
from surgvista_jax.models.patches import normalise, patchify
from surgvista_jax.models.video_vit import patch_kernel_init


@dataclasses.dataclass(frozen=True)
class TeacherConfig:
    """The image ViT whose patch features the student learns to predict.

    Attributes:
        transformer: its sizes; ViT-L is width 1024, depth 24, heads 16, attention_bias "qkv".
        weights: where its parameters come from: "random" asks for random ones by name.
        patch: side of a patch in pixels.
    """

    transformer: TransformerConfig
    weights: str
    patch: int = 16

    def __post_init__(self):
        if self.patch < 1:
            raise ValueError("patch must be positive")


class ImageEncoder(nn.Module):
    """Patch tokens of single frames, after the last block and before any final norm.

    The class token has no position; patches have learned ones.
    """

    config: TeacherConfig
    compute: ComputeConfig

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """images: uint8 [B, H, W, 3] -> [B, h*w, D]."""
        dtype = jnp.dtype(self.compute.dtype)
        width = self.config.transformer.width
        patches = patchify(images[:, None], 1, self.config.patch)
        x = Linear(
            width,
            ("patch", "embed"),
            dtype,
            kernel_init=patch_kernel_init,
            name="patch_embedding",
        )(normalise(patches, dtype))
        init = nn.with_logical_partitioning(token_initializer(), (None, None))
        x = x + self.param("positions", init, x.shape[1:]).astype(dtype)[None]
        init = nn.with_logical_partitioning(token_initializer(), (None,))
        token = self.param("class_token", init, (width,)).astype(dtype)
        x = jnp.concatenate([jnp.broadcast_to(token, (x.shape[0], 1, width)), x], axis=1)
        x = Transformer(self.config.transformer, self.compute, name="transformer")(x, train)
        return x[:, 1:]
