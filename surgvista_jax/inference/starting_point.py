"""A backbone that is read from weights and fitted to the clips that it sees."""

import dataclasses
import sys
from typing import NamedTuple

import jax

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError
from surgvista_jax.models.backbones import BackboneConfig, as_parts
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.video_vit import LEARNED, SIZES, EncoderConfig
from surgvista_jax.weights.adapt import AdaptConfig, adapt_encoder, changes
from surgvista_jax.weights.loading import digest_of, load_backbone
from surgvista_jax.weights.provenance import Source, of_loaded

RANDOM = "random"
# What a random backbone is where the configuration does not say: the published student.
STUDENT = BackboneConfig(
    encoder=EncoderConfig(TransformerConfig(**SIZES["base"], attention_bias="qv"))
)


class StartingPoint(NamedTuple):
    """What a run starts from.

    Attributes:
        model: the backbone.
        clip: what it sees.
        variables: NumPy trees {"backbone", "batch_stats"?}; None for random ones.
        origin: a digest of the variables as they were read, or "random".
        sources: what they were made from.
        notes: what `fit_to_clips` changed of them, in words.
        clip_key: where the user says the clip, for messages.
    """

    model: BackboneConfig
    clip: ClipConfig
    variables: dict | None
    origin: str
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    clip_key: str = "config.clip"


def read_backbone(
    init: str, expected: BackboneConfig | None
) -> tuple[BackboneConfig, dict | None, str, tuple[Source, ...]]:
    """Reads a weights file or a run folder: model, variables, their digest, what they are made of.

    Args:
        init: `[NAME:]PATH`, or "random".
        expected: what the file must hold; None lets it decide.
    """
    if not init:
        raise UserError(
            "config.init is empty: say --config.init=WEIGHTS (a file or a run folder), or =random"
        )
    if init == RANDOM:
        return expected or STUDENT, None, RANDOM, ()
    model, loaded, source = load_backbone(init, expected)
    variables = as_parts(loaded)
    say((source.summary(), *source.notes))
    origin = digest_of(variables)
    return model, variables, origin, of_loaded("init", dataclasses.replace(source, digest=origin))


def say(lines: tuple[str, ...]) -> None:
    """Prints what was read or fitted, once for all processes."""
    for line in lines if jax.process_index() == 0 else ():
        print(f"init: {line}", file=sys.stderr)


def fit_to_clips(
    start: StartingPoint, adapt: AdaptConfig, *, pool: str, keep_norm: bool
) -> StartingPoint:
    """Fits a ViT's patches, positions and tokens to its clips; a CNN stays as it is.

    Args:
        adapt: what becomes of an image model that sees clips; on single frames it stays one.
        pool: "mean" or "class"; the class token is left out where the mean is taken.
        keep_norm: whether the norm after the last block stays.

    Raises:
        UserError: the pool asks for a class token that there is not, or the clips do not divide
            into patches.
    """
    model, encoder, clip = start.model, start.model.encoder, start.clip
    if pool == "class" and (encoder is None or not encoder.class_token):
        raise UserError("config.head.pool='class': this model has no class token; take 'mean'")
    if encoder is None:
        return start
    if clip.num_frames == 1:
        adapt = AdaptConfig(patches="frames", positions=LEARNED)
    fitted, params = adapt_encoder(
        encoder,
        None if start.variables is None else start.variables["backbone"],
        clip=(clip.num_frames, clip.size, clip.size),
        adapt=adapt,
        keep_class_token=pool == "class",
        keep_norm=keep_norm,
        clip_key=start.clip_key,
    )
    model = dataclasses.replace(model, encoder=fitted)
    if start.variables is None or params is None:
        return start._replace(model=model)
    return start._replace(
        model=model,
        variables=start.variables | {"backbone": params},
        notes=changes(start.variables["backbone"], encoder, params, fitted),
    )
