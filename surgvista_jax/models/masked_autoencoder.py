"""The pretraining model: an encoder of the visible tokens and a decoder for each target."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.checks import check_one_of
from surgvista_jax.models.blocks import Transformer
from surgvista_jax.models.layers import ComputeConfig, Linear, TransformerConfig, token_initializer
from surgvista_jax.models.logical_axes import with_axes
from surgvista_jax.models.norm import LayerNorm
from surgvista_jax.models.patches import gather_of_clips, normalise
from surgvista_jax.models.positions import TABLES, check_width
from surgvista_jax.models.video_vit import EncoderConfig, VideoEncoder


@dataclasses.dataclass(frozen=True)
class MaskedAutoencoderConfig:
    """Encoder and decoders of the student.

    Attributes:
        encoder, pixel_decoder, feature_decoder: sizes of each transformer.
        tubelet: frames per token.
        patch: pixels per side of a token.
        positions: form of the fixed position tables, "separable" or "flat".
        class_token: whether the encoder carries a class token, which both decoders receive,
            projected and without a position, before the visible tokens (MVD). It may make numbers
            of tokens odd, which costs a GPU its flash attention in training.
    """

    encoder: TransformerConfig
    pixel_decoder: TransformerConfig
    feature_decoder: TransformerConfig
    tubelet: int = 2
    patch: int = 16
    positions: str = "separable"
    class_token: bool = False

    def __post_init__(self) -> None:
        check_one_of(self, TABLES, "positions")
        for name in ("encoder", "pixel_decoder", "feature_decoder"):
            check_width(f"{name}.width", getattr(self, name).width, self.positions)
        _ = self.video_encoder  # refuses a tubelet or patch that it cannot have

    @property
    def video_encoder(self) -> EncoderConfig:
        """The encoder alone, which finetuning takes over."""
        return EncoderConfig(
            self.encoder, self.tubelet, self.patch, self.positions, self.class_token
        )

    @property
    def patch_values(self) -> int:
        """P, the number of pixel values of a tubelet."""
        return self.video_encoder.patch_values


@dataclasses.dataclass
class Predictions:
    """The decoders' predictions for the hidden tokens, float32.

    Attributes:
        pixels: [B*K, M, P] normalised pixels, in the order of `patchify`.
        features: [B*K, M, F] teacher features, or None without a teacher.
    """

    pixels: jax.Array
    features: jax.Array | None


jax.tree_util.register_dataclass(Predictions, ["pixels", "features"], [])


class Decoder(nn.Module):
    """Predicts `outputs` values for every hidden token from the encoded visible ones."""

    config: TransformerConfig
    compute: ComputeConfig
    grid: tuple[int, int, int]
    positions: str
    outputs: int

    @nn.compact
    def __call__(
        self, encoded: jax.Array, visible_ids: jax.Array, hidden_ids: jax.Array, train: bool
    ) -> jax.Array:
        """Predicts the hidden tokens.

        Args:
            encoded: [B, V, D], or [B, 1 + V, D] with a class token, which comes first.
            visible_ids: int32 [B, V].
            hidden_ids: int32 [B, M].
            train: asks for drop path and for gradients.

        Returns:
            float32 [B, M, outputs].
        """
        dtype = jnp.dtype(self.compute.dtype)
        width = self.config.width
        positions = jnp.asarray(TABLES[self.positions](self.grid, width), dtype)
        visible = Linear(width, ("embed", None), dtype, name="projection")(encoded)
        init = with_axes(token_initializer(), (None,))
        mask_token = self.param("mask_token", init, (width,)).astype(dtype)
        masked = mask_token[None, None] + positions[hidden_ids]
        first = encoded.shape[1] - visible_ids.shape[1]  # 1 with a class token
        parts = [visible[:, first:] + positions[visible_ids], masked]
        if first:
            parts.insert(0, visible[:, :first])
        x = jnp.concatenate(parts, axis=1)  # [B, first + N, width]
        # Of an even number, if need be with a token before them, for attention's kernels.
        hidden = hidden_ids.shape[1]
        last = hidden + hidden % 2
        x = Transformer(self.config, self.compute, name="transformer")(
            x, train, pick=lambda tokens: tokens[:, -last:]
        )
        x = x[:, -hidden:]  # [B, M, width]
        x = LayerNorm(dtype, self.config.last_epsilon, name="norm")(x)
        x = Linear(self.outputs, ("embed", "output"), dtype, name="head")(x)
        return x.astype(jnp.float32)


class MaskedAutoencoder(nn.Module):
    """The student of SurgVISTA: hidden pixels and hidden teacher features from visible tokens.

    Attributes:
        config: sizes of its parts.
        compute: how it is computed.
        grid: tokens along (t, h, w).
        feature_width: F, the teacher's width; 0 leaves the feature decoder out.
    """

    config: MaskedAutoencoderConfig
    compute: ComputeConfig
    grid: tuple[int, int, int]
    feature_width: int = 0

    @nn.compact
    def __call__(
        self, patches: jax.Array, visible_ids: jax.Array, hidden_ids: jax.Array, train: bool
    ) -> Predictions:
        """Predicts the hidden tokens of each clip under each of its K masks.

        Args:
            patches: uint8 [B, N, P] from `patchify`; of a stretch as `gather_of_clips` takes them.
            visible_ids: int32 [B, K, V]; K counts the masks of all clips of a stretch.
            hidden_ids: int32 [B, K, M].
            train: asks for drop path and for gradients.
        """
        config, compute = self.config, self.compute
        # The visible patches are picked first, so that only they are normalised and embedded.
        visible = gather_of_clips(patches, visible_ids, self.grid)
        visible = normalise(visible, jnp.dtype(compute.dtype))
        visible_ids, hidden_ids = (
            ids.reshape(-1, ids.shape[-1]) for ids in (visible_ids, hidden_ids)
        )
        encoder = VideoEncoder(config.video_encoder, compute, self.grid, name="encoder")
        encoded = encoder(visible, visible_ids, train)

        def decode(decoder: TransformerConfig, outputs: int, name: str) -> jax.Array:
            module = Decoder(decoder, compute, self.grid, config.positions, outputs, name=name)
            return module(encoded, visible_ids, hidden_ids, train)

        pixels = decode(config.pixel_decoder, config.patch_values, "pixel_decoder")
        features = None
        if self.feature_width:
            features = decode(config.feature_decoder, self.feature_width, "feature_decoder")
        return Predictions(pixels, features)
