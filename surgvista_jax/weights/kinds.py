"""The kinds of content that a weight file may hold, and the configuration of each."""

import dataclasses
from typing import Any

from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.models.video_vit import EncoderConfig

DECODERS = ("pixel_decoder", "feature_decoder")


@dataclasses.dataclass(frozen=True)
class StudentConfig:
    """A pretraining model: {encoder, pixel_decoder, feature_decoder?}.

    Attributes:
        model: its parts.
        feature_width: F, the width of the features that the feature decoder predicts; 0: the file
            holds no feature decoder, and what `model` says of one is ignored.
    """

    model: MaskedAutoencoderConfig
    feature_width: int = 0

    @property
    def encoder(self) -> EncoderConfig:
        return self.model.video_encoder


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """A finetuned model: {backbone, norm, head}; the norm stands after the mean over the tokens.

    Attributes:
        encoder: the backbone, without a norm of its own.
        classes: C.
    """

    encoder: EncoderConfig
    classes: int


# Kind of content -> the part of its parameters that is an encoder, where they are more than that.
INSIDE = {"student": "encoder", "teacher": "encoder", "classifier": "backbone"}
# Kind of content -> type of its configuration.
CONFIGS = {
    "student": StudentConfig,
    "encoder": EncoderConfig,
    "teacher": EncoderConfig,
    "classifier": ClassifierConfig,
    "cnn": BackboneConfig,
}


def encoder_of(config: Any) -> EncoderConfig | None:
    """The encoder within any kind of content; None for a convolutional network."""
    if isinstance(config, EncoderConfig):
        return config
    return getattr(config, "encoder", None)


def stacks_of(config: Any) -> dict[str, TransformerConfig]:
    """The transformers of any kind of content by part: the encoder and, of a student, decoders."""
    encoder = encoder_of(config)
    stacks = {} if encoder is None else {"encoder": encoder.transformer}
    if isinstance(config, StudentConfig):
        stacks |= {part: getattr(config.model, part) for part in DECODERS}
    return stacks


def with_encoder(config: Any, encoder: EncoderConfig) -> Any:
    """The same content around another encoder."""
    if isinstance(config, EncoderConfig):
        return encoder
    if isinstance(config, StudentConfig):
        model = dataclasses.replace(
            config.model,
            encoder=encoder.transformer,
            tubelet=encoder.tubelet,
            patch=encoder.patch,
            positions=encoder.positions,
            class_token=encoder.class_token,
        )
        return dataclasses.replace(config, model=model)
    return dataclasses.replace(config, encoder=encoder)


def with_program_of(config: EncoderConfig, other: EncoderConfig) -> EncoderConfig:
    """The encoder with the norms' epsilon and the interpolation of another one's program."""
    return dataclasses.replace(
        config,
        transformer=with_epsilon_of(config.transformer, other.transformer),
        resize=other.resize,
    )


def with_epsilon_of(sizes: TransformerConfig, other: TransformerConfig) -> TransformerConfig:
    """The same sizes with the epsilon of another transformer's norms."""
    return dataclasses.replace(
        sizes, norm_epsilon=other.norm_epsilon, final_epsilon=other.final_epsilon
    )


def comparable(config: Any) -> Any:
    """The configuration without what no file records.

    That is drop path and the scales' start value, and what the program knows that a table is of:
    the norms' epsilon and how positions are interpolated.
    """
    if isinstance(config, TransformerConfig):
        return dataclasses.replace(
            config,
            mlp_ratio=config.mlp_width / config.width,
            layer_scale=float(config.layer_scale > 0),
            drop_path=0.0,
            norm_epsilon=1.0,
            final_epsilon=0.0,
        )
    if isinstance(config, EncoderConfig):
        config = dataclasses.replace(config, resize="bicubic")
    if isinstance(config, StudentConfig) and not config.feature_width:
        model = dataclasses.replace(config.model, feature_decoder=config.model.pixel_decoder)
        config = dataclasses.replace(config, model=model)
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        return config
    inner = {f.name: comparable(getattr(config, f.name)) for f in dataclasses.fields(config)}
    return dataclasses.replace(config, **inner)


def described(encoder: EncoderConfig) -> str:
    """Its sizes in a few words: "ViT of width 768, depth 12, 12 heads, 2x16x16 tokens"."""
    sizes = encoder.transformer
    return (
        f"a ViT of width {sizes.width}, depth {sizes.depth}, {sizes.heads} heads,"
        f" {encoder.tubelet}x{encoder.patch}x{encoder.patch} tokens, {encoder.positions} positions"
    )
