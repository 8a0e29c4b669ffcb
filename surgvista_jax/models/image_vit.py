"""The teacher: a frozen image ViT that describes every patch of a frame."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.checks import MOST_PIXELS, check_one_of, check_whole
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.patches import gather_tokens, normalise, patchify, token_grid
from surgvista_jax.models.video_vit import LEARNED, EncoderConfig, VideoEncoder


@dataclasses.dataclass(frozen=True)
class TeacherConfig:
    """The image ViT whose patch features the student learns to predict.

    Attributes:
        transformer: its sizes; ViT-L is width 1024, depth 24, heads 16, attention_bias "qkv".
        weights: where its parameters come from, `[NAME:]FILE` or a folder; "random" asks for
            random ones by name.
        patch: side of a patch in pixels.
        precision: of the products in its blocks: "compute" (as the student's) or "float8", which
            GPUs from Hopper and Ada on multiply twice as fast; what it says changes by about 3 %.
    """

    transformer: TransformerConfig
    weights: str
    patch: int = 16
    precision: str = "compute"

    def __post_init__(self) -> None:
        check_whole(self, 1, "patch", highest=MOST_PIXELS)
        check_one_of(self, ("compute", "float8"), "precision")

    @property
    def is_float8(self) -> bool:
        """Whether the products of its blocks are those of 8-bit floats."""
        return self.precision == "float8"

    @property
    def encoder(self) -> EncoderConfig:
        """A class token without a position, learned positions of patches, and no final norm."""
        return EncoderConfig(
            self.transformer,
            tubelet=1,
            patch=self.patch,
            positions=LEARNED,
            class_token=True,
            norm=False,
        )


class ImageEncoder(nn.Module):
    """Patch tokens of single frames, after the last block and before any final norm."""

    config: TeacherConfig
    compute: ComputeConfig

    @nn.compact
    def __call__(self, images: jax.Array, ids: jax.Array | None = None) -> jax.Array:
        """Describes the patches of images.

        Args:
            images: uint8 [B, H, W, 3].
            ids: int32 [B, I], the patches that are asked for; None: all, in order.

        Returns:
            [B, I, D], or [B, h*w, D].
        """
        patch = self.config.patch
        _, height, width, _ = images.shape
        grid = token_grid(1, height, width, 1, patch)
        patches = normalise(patchify(images[:, None], 1, patch), jnp.dtype(self.compute.dtype))
        config = self.config
        encoder = VideoEncoder(config.encoder, self.compute, grid, config.is_float8, name="encoder")
        if ids is None:
            return encoder(patches, None, False)[:, 1:]  # the class token is the first

        def pick(tokens: jax.Array) -> jax.Array:
            return gather_tokens(tokens, ids[:, None] + 1)

        return encoder(patches, None, False, pick)
