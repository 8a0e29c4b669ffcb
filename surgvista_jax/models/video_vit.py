"""The encoder: a ViT over the tubelets of a clip, or over the patches of single frames."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from surgvista_jax.checks import MOST_PIXELS, check_one_of, check_whole
from surgvista_jax.models.blocks import Transformer
from surgvista_jax.models.layers import (
    ComputeConfig,
    Linear,
    Pick,
    TransformerConfig,
    all_tokens,
    token_initializer,
)
from surgvista_jax.models.logical_axes import with_axes
from surgvista_jax.models.norm import LayerNorm
from surgvista_jax.models.positions import RESIZES, TABLES, check_width
from surgvista_jax.models.sizes import SIZES as SIZES

LEARNED = "learned"


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """What decides an encoder's parameters: the same for the student, baselines and the teacher.

    Attributes:
        transformer: sizes of the stack of blocks.
        tubelet: frames per token; 1 is an image model, whose patches are single frames'.
        patch: pixels per side of a token.
        positions: "separable", "flat" or "stretched", fixed sine tables of the whole clip; or
            "learned", one table of a frame's patches that every frame shares.
        class_token: prepends a learned token.
        class_position: a learned position of the class token; without one it has none.
        norm: a layer norm after the last block.
        resize: how a learned table is interpolated to another number of patches: "bicubic",
            "offset" or "antialias", see `positions.interpolate_positions`.
    """

    transformer: TransformerConfig
    tubelet: int = 2
    patch: int = 16
    positions: str = "separable"
    class_token: bool = False
    class_position: bool = False
    norm: bool = True
    resize: str = "bicubic"

    def __post_init__(self) -> None:
        check_one_of(self, (*TABLES, LEARNED), "positions")
        check_one_of(self, RESIZES, "resize")
        check_whole(self, 1, "tubelet", "patch", highest=MOST_PIXELS)
        if self.class_position and not self.class_token:
            raise ValueError("class_position=True: is the position of a class token: it needs one")
        if self.positions in TABLES:
            check_width("transformer.width", self.transformer.width, self.positions)

    @property
    def patch_values(self) -> int:
        """P, the number of pixel values of a token."""
        return self.tubelet * self.patch**2 * 3


def patch_kernel_init(
    key: jax.Array, shape: tuple[int, int], dtype: Dtype = jnp.float32
) -> jax.Array:
    """Uniform within 1/sqrt(P), as convolutions start in the method's reference: [P, D]."""
    bound = shape[0] ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class VideoEncoder(nn.Module):
    """Embeds tubelets, adds their positions, and runs the blocks and, if asked for, a final norm.

    Attributes:
        config: what its parameters are.
        compute: how it is computed.
        grid: tokens along (t, h, w) of the whole clip; (1, h, w) for single frames.
        float8: whether its blocks multiply 8-bit floats, and have no gradient.
    """

    config: EncoderConfig
    compute: ComputeConfig
    grid: tuple[int, int, int]
    float8: bool = False

    @nn.compact
    def __call__(
        self,
        patches: jax.Array,
        ids: jax.Array | None,
        train: bool,
        pick: Pick = all_tokens,
    ) -> jax.Array:
        """Encodes some tokens of a clip, or all of them.

        Args:
            patches: [B, V, P] normalised pixels of the tokens to be seen.
            ids: int32 [B, V], their places in the grid; None: all N, in order.
            train: asks for drop path and for gradients.
            pick: takes those that are asked for of what is returned.

        Returns:
            [B, V, D], or [B, 1 + V, D] with a class token.
        """
        config, dtype = self.config, jnp.dtype(self.compute.dtype)
        width = config.transformer.width
        x = Linear(
            width,
            ("patch", "embed"),
            dtype,
            kernel_init=patch_kernel_init,
            name="patch_embedding",
        )(patches)
        positions = self._positions().astype(dtype)
        x = x + (positions[None] if ids is None else positions[ids])
        if config.class_token:
            token = self._token("class_token")
            if config.class_position:
                token = token + self._token("class_position")
            token = jnp.broadcast_to(token.astype(dtype), (x.shape[0], 1, width))
            x = jnp.concatenate([token, x], axis=1)
        stack = Transformer(config.transformer, self.compute, self.float8, name="transformer")
        x = stack(x, train, pick)
        if not config.norm:
            return x
        return LayerNorm(dtype, config.transformer.last_epsilon, name="norm")(x)

    def _positions(self) -> jax.Array:
        """The table of the whole clip, float32 [N, D]."""
        t, h, w = self.grid
        width = self.config.transformer.width
        if self.config.positions in TABLES:
            return jnp.asarray(TABLES[self.config.positions](self.grid, width))
        init = with_axes(token_initializer(), (None, None))
        return jnp.tile(self.param("positions", init, (h * w, width)), (t, 1))

    def _token(self, name: str) -> jax.Array:
        init = with_axes(token_initializer(), (None,))
        return self.param(name, init, (self.config.transformer.width,))
