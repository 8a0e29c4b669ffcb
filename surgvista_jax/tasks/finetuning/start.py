"""The backbone that a run starts with, fitted to the clips that it sees."""

import dataclasses

from surgvista_jax.inference.starting_point import (
    StartingPoint,
    fit_to_clips,
    read_backbone,
    say,
)
from surgvista_jax.tasks.finetuning.config import FinetuneConfig


def starting_point(config: FinetuneConfig) -> StartingPoint:
    """Reads what `config.init` names and fits it to the clips and the head.

    Raises:
        UserError: nothing is named, the file is not what is expected, or it does not fit the head.
    """
    model, variables, origin, sources = read_backbone(config.init, config.model)
    clip, clip_key = config.clip, "config.clip"
    inflated = model.encoder is not None and config.adapt.patches != "frames"
    if model.sees_single_frames and not inflated and config.image_clip is not None:
        clip, clip_key = config.image_clip, "config.image_clip"
    start = fit_to_clips(
        StartingPoint(model, clip, variables, origin, sources, clip_key=clip_key),
        config.adapt,
        pool=config.head.pool,
        # A new norm stands behind the mean, as published; probes take features as they are.
        keep_norm=config.head.pool == "class" or config.mode in ("linear", "attentive"),
    )
    say(start.notes)
    if start.model.encoder is None:
        return start
    stack = dataclasses.replace(start.model.encoder.transformer, drop_path=config.drop_path)
    encoder = dataclasses.replace(start.model.encoder, transformer=stack)
    return start._replace(model=dataclasses.replace(start.model, encoder=encoder))
