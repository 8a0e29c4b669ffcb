"""The command `surgvista features`: what a backbone says of every frame of a dataset, by video.

Each frame ends a clip, and the clip's pooled features are the frame's row. A video whose rows are
there already is not computed again, so that an interrupted run goes on.
"""

import argparse
import dataclasses
import functools
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from surgvista_jax.config import build
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.feature_folder import FeatureFolder, FeaturesHeader, create_features
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.every_clip import make_apply, over_dataset
from surgvista_jax.models.backbones import BackboneConfig, as_parts, make_backbone, variables_of
from surgvista_jax.models.heads import POOLS, pool_tokens
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.patches import normalise
from surgvista_jax.tasks.finetuning.start import (
    RANDOM,
    StartingPoint,
    fit_to_clips,
    read_backbone,
    say,
    sees_single_frames,
)
from surgvista_jax.training import processes
from surgvista_jax.training.partition import (
    RULES,
    MeshConfig,
    check_divisible,
    make_mesh,
)
from surgvista_jax.training.processes import on_all_processes
from surgvista_jax.training.state import create_filled
from surgvista_jax.weights.adapt import AdaptConfig
from surgvista_jax.weights.choosing import split_spec
from surgvista_jax.weights.provenance import facts_at

# Videos whose rows are held in memory at a time, however long the dataset is.
_FRAMES_AT_ONCE = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--init", required=True, metavar="[NAME:]WEIGHTS", help="a file or a run")
    parser.add_argument("--dataset", required=True, type=Path, help="dataset folder")
    parser.add_argument("--out", required=True, type=Path, help="features folder to be written")
    parser.add_argument("--split", help="only the videos of this split (default: all)")
    parser.add_argument("--num-frames", type=int, help="of a clip (the run's; 16, or 1 of images)")
    parser.add_argument("--stride", type=int, help="between them (the run's; 4)")
    parser.add_argument("--size", type=int, help="pixels a side (the run's; 224)")
    parser.add_argument("--pool", choices=POOLS, default="mean", help="of the tokens (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="(%(default)s)")
    parser.add_argument(
        "--fsdp", type=int, default=1, help="devices that share out the model's width (%(default)s)"
    )
    parser.add_argument("--workers", type=int, help="loader workers")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    processes.add_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    processes.join(arguments)
    for option in ("num_frames", "stride", "size", "batch_size", "fsdp"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise UserError(f"--{option.replace('_', '-')} {value}: at least 1 is needed")
    if arguments.init in ("", RANDOM):
        raise UserError(f"--init={arguments.init}: a weights file or a run folder is needed")
    dataset = read_dataset(arguments.dataset)
    if arguments.split:
        dataset = dataset.split(arguments.split)
    model, variables, origin, _ = read_backbone(arguments.init, None)
    clip = trained_clip(arguments.init)
    if clip is None:
        clip = ClipConfig(num_frames=1, stride=1) if sees_single_frames(model) else ClipConfig()
    asked = {name: getattr(arguments, name) for name in ("num_frames", "stride", "size")}
    changes = {name: value for name, value in asked.items() if value is not None}
    clip = dataclasses.replace(clip, sampling="past", **changes)
    _check(model, clip, arguments)
    start = fit_to_clips(
        StartingPoint(model, clip, variables, origin),
        AdaptConfig(),
        pool=arguments.pool,
        keep_norm=True,
    )
    say(start.notes)
    loader = LoaderConfig()
    if arguments.workers is not None:
        loader = dataclasses.replace(loader, workers=arguments.workers)
    folder = compute_features(
        start,
        dataset,
        arguments.out,
        pool=arguments.pool,
        batch_size=arguments.batch_size,
        fsdp=arguments.fsdp,
        loader=loader,
        compute=ComputeConfig(dtype=arguments.dtype),
    )
    if jax.process_index() == 0:
        print(
            f"{folder.folder}: features of {len(dataset.videos)} videos, {folder.header.width} wide"
        )
    return 0


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


def trained_clip(init: str) -> ClipConfig | None:
    """The clip that a model was trained to see; None where neither file nor folder tells it."""
    path = split_spec(init)[1]
    told = facts_at(path).get("clip")
    return None if told is None else build(ClipConfig, told, f"{path}: clip")


def compute_features(
    start: StartingPoint,
    dataset: Dataset,
    out: Path,
    *,
    pool: str,
    batch_size: int,
    fsdp: int = 1,
    loader: LoaderConfig,
    compute: ComputeConfig,
) -> FeatureFolder:
    """Writes the rows of every video that the folder lacks; all processes call it.

    Args:
        start: a backbone with its variables, fitted to its clips.
        pool: "mean" or "class".
        fsdp: devices that share out the model's width.

    Raises:
        UserError: the folder holds other features, or cannot be written; the devices cannot share
            out a batch.
    """
    model, clip = start.model, start.clip
    mesh = make_mesh(MeshConfig(fsdp=fsdp))
    check_divisible(mesh, batch_size=batch_size, key="--batch-size")
    header = FeaturesHeader(
        dataset=dataset.name,
        fps=dataset.fps,
        model=f"{model.architecture}, {pool} of its tokens, {compute.dtype}",
        weights=start.origin,
        width=model.width,
        clip_frames=clip.num_frames,
        clip_stride=clip.stride,
        size=clip.size,
    )
    folder = (
        create_features(out, header) if jax.process_index() == 0 else FeatureFolder(out, header)
    )
    backbone = make_backbone(model, compute, model.grid(clip.num_frames, clip.size, clip.size))

    def init() -> dict:
        video = jnp.zeros((1, clip.num_frames, clip.size, clip.size, 3), jnp.float32)
        return as_parts(backbone.init(jax.random.key(0), video, False))

    def features(variables: dict, video: jax.Array) -> jax.Array:
        pixels = normalise(video, jnp.dtype(compute.dtype))
        tokens = backbone.apply(variables_of(variables), pixels, False)
        return pool_tokens(tokens, pool, model.class_token)

    for video in dataset.videos:
        folder.path(video)  # an id that is no file name shows before anything is computed
    # All compute a video's rows, or none: a process that computed alone would wait for the others.
    held = on_all_processes(np.array([folder.holds(video) for video in dataset.videos]))
    lacking = [video for video, kept in zip(dataset.videos, held, strict=True) if not kept]
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        apply = make_apply(features, mesh)
        variables = create_filled(init, start.variables, mesh)
        bar = tqdm(
            total=len(lacking),
            unit="video",
            delay=10,
            disable=jax.process_index() != 0 or not sys.stderr.isatty(),
        )
        while lacking:
            group = [lacking.pop(0)]
            frames = group[0].num_frames
            while lacking and frames + lacking[0].num_frames <= _FRAMES_AT_ONCE:
                group.append(lacking.pop(0))
                frames += group[-1].num_frames
            part = dataclasses.replace(dataset, videos=tuple(group))
            run = functools.partial(over_dataset, apply, variables, part, clip, loader)
            outputs = run(mesh=mesh, batch_size=batch_size, unlabelled=True)
            if jax.process_index() == 0:
                for number, video in enumerate(group):
                    folder.write(video, outputs.values[outputs.video_index == number])
            bar.update(len(group))
        bar.close()
    return folder
