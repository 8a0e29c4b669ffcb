"""The backbone that options ask for: its weights, its clips, and the devices that compute it."""

import argparse
import dataclasses

import jax
from jax.sharding import Mesh

from surgvista_jax.config import filled_by_options
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError
from surgvista_jax.inference.batch_memory import check_batch, usual_batch
from surgvista_jax.inference.classifier import Backbone, usual_clip
from surgvista_jax.inference.features import TrainedBackbone
from surgvista_jax.inference.seen import seen_by
from surgvista_jax.inference.starting_point import (
    StartingPoint,
    fit_to_clips,
    read_backbone,
    say,
)
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.training import processes
from surgvista_jax.training.partition import MeshConfig, check_divisible, make_mesh
from surgvista_jax.weights.adapt import AdaptConfig
from surgvista_jax.weights.place import locate


def asked_backbone(
    arguments: argparse.Namespace, fps: float, facts: dict[str, str]
) -> tuple[TrainedBackbone, Mesh]:
    """The backbone, fitted to its clips at a rate, and the devices.

    Args:
        arguments: of `surgvista features`; a batch size that is not asked for is filled in.
        fps: frames a second that it is to see.
        facts: of the data, which all processes must share, as they must the weights.

    Raises:
        UserError: the weights cannot be read; options do not fit them or the devices.
    """
    model, variables, origin, _ = read_backbone(arguments.init, None)
    processes.agree({**facts, "init": origin})
    seen = seen_by(arguments.init)
    if seen is None:
        clip = usual_clip(model)
    else:
        clip = dataclasses.replace(seen.clip, stride=seen.stride_at(fps))
        say((f"{arguments.init} was trained on {seen}",))
    asked = {name: getattr(arguments, name) for name in ("num_frames", "stride", "size")}
    changes = {name: value for name, value in asked.items() if value is not None}
    with filled_by_options():
        clip = dataclasses.replace(clip, sampling="past", **changes)
    _check(model, clip, arguments)
    mesh = make_mesh(MeshConfig(fsdp=arguments.fsdp))
    if arguments.batch_size is None:
        arguments.batch_size = usual_batch(mesh, elsewhere=64)
    check_divisible(mesh, batch_size=arguments.batch_size, key="--batch-size")
    start = fit_to_clips(
        StartingPoint(model, clip, variables, origin),
        AdaptConfig(),
        pool=arguments.pool,
        keep_norm=True,
    )
    say(start.notes)
    assert start.variables is not None  # they were read: random ones were refused
    backbone = Backbone(start.model, start.clip, ComputeConfig(dtype=arguments.dtype))
    trained = TrainedBackbone(
        backbone, arguments.pool, start.variables, start.origin, locate(arguments.init).lasting
    )
    if arguments.check_memory:
        said = check_batch(
            trained.features,
            lambda: backbone.init(jax.random.key(0)),
            backbone.clip,
            arguments.batch_size,
            mesh,
            "--batch-size",
        )
        if said:
            say((f"WARNING: {said}",))
    return trained, mesh


def _check(model: BackboneConfig, clip: ClipConfig, arguments: argparse.Namespace) -> None:
    """Refuses options that do not fit the model or the devices, by their own names."""
    if arguments.pool == "class" and not model.class_token:
        raise UserError("--pool=class: this model has no class token; take mean")
    try:
        model.grid(clip.num_frames, clip.size, clip.size)
    except ValueError as error:
        raise UserError(f"--num-frames or --size: {error}") from None
    for number, what in ((jax.device_count(), "devices here"), (model.width, "of the width")):
        if number % arguments.fsdp:
            raise UserError(f"--fsdp={arguments.fsdp}: should divide the {number} {what}")
