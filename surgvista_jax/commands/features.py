"""The command `surgvista features`: what a backbone says of every frame of videos, by video."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
from jax.sharding import Mesh

from surgvista_jax.config import filled_by_options
from surgvista_jax.counted import counted
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.own_videos import given_dataset
from surgvista_jax.data.conversion.sources import items_of
from surgvista_jax.data.dataset import Dataset, fingerprint
from surgvista_jax.data.storage.feature_folder import FeatureFolder
from surgvista_jax.data.storage.manifest import FILES, read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.batch_memory import add_check_memory, check_batch, usual_batch
from surgvista_jax.inference.classifier import Backbone, usual_clip
from surgvista_jax.inference.features import (
    TrainedBackbone,
    compute_features,
    features_of_files,
    header_of_files,
)
from surgvista_jax.inference.features_in_parts import (
    FEATURES,
    KEPT,
    merge_features,
    refuse_whole,
)
from surgvista_jax.inference.given_videos import (
    add_given,
    found_videos,
    is_dataset,
    reading_at,
)
from surgvista_jax.inference.remarks import Remarks
from surgvista_jax.inference.seen import seen_by
from surgvista_jax.inference.starting_point import (
    RANDOM,
    StartingPoint,
    fit_to_clips,
    read_backbone,
    say,
)
from surgvista_jax.inference.unreadable_option import add_unreadable, unreadable_limit
from surgvista_jax.locking import alone_in
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.heads import POOLS
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.ownership import add_overwrite
from surgvista_jax.parts.option import add_part
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.plan_file import read_plan, refuse_begun
from surgvista_jax.parts.start import parts_of
from surgvista_jax.training import processes
from surgvista_jax.training.partition import MeshConfig, check_divisible, make_mesh
from surgvista_jax.training.sole import sole_use
from surgvista_jax.weights.adapt import AdaptConfig
from surgvista_jax.weights.place import locate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_given(parser)
    parser.add_argument("--init", required=True, metavar="[NAME:]WEIGHTS", help="a file or a run")
    parser.add_argument("--dataset", type=Path, help="dataset folder, in place of VIDEO")
    parser.add_argument("--out", required=True, type=Path, help="features folder to be written")
    parser.add_argument(
        "--fps", type=float, help="of video files, frames a second (as the weights saw; 1)"
    )
    parser.add_argument("--num-frames", type=int, help="of a clip (the run's; 16, or 1 of images)")
    parser.add_argument("--stride", type=int, help="between them (the run's; 4)")
    parser.add_argument("--size", type=int, help="pixels a side (the run's; 224)")
    parser.add_argument("--pool", choices=POOLS, default="mean", help="of the tokens (%(default)s)")
    parser.add_argument(
        "--batch-size", type=int, help="clips at a time (64; on processors 4, for their memory)"
    )
    parser.add_argument(
        "--fsdp", type=int, default=1, help="devices that share out the model's width (%(default)s)"
    )
    parser.add_argument("--workers", type=int, help="loader workers")
    add_unreadable(parser)
    add_check_memory(parser)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    add_part(parser)
    add_overwrite(parser)
    processes.add_arguments(parser)

    parser.epilog = (
        "Written is a folder: features.json says whose features they are, VIDEO.npy has a row for"
        " each frame, float32 [frames, width]. Video files are decoded meanwhile, and no frame is"
        " kept; what is there already, and younger than its video, is not computed again."
    )


# What must be the same in all processes; data and weights may lie elsewhere.
_OF_ALL = (
    "split",
    "fps",
    "margins",
    "num_frames",
    "stride",
    "size",
    "pool",
    "batch_size",
    "fsdp",
    "dtype",
    "part",
)


def main(arguments: argparse.Namespace) -> int:
    parts = parts_of(arguments, arguments.out, FEATURES, FILES)
    if parts is None:
        refuse_begun(arguments.out, FEATURES)
    elif parts.part.is_merge:
        return _merge(arguments, parts)
    elif read_plan(arguments.out, FEATURES) is None:
        refuse_whole(arguments.out)
    out = arguments.out if parts is None else parts.folder
    facts = {f"--{name.replace('_', '-')}": str(getattr(arguments, name)) for name in _OF_ALL}
    with processes.joined(arguments, facts):
        if parts is not None and jax.process_count() > 1:
            raise UserError("--part: is for one process; several share out the videos themselves")
        with sole_use(out, "give another --out"):
            return _features(arguments, parts, out)


def _merge(arguments: argparse.Namespace, parts: Parts) -> int:
    folder = _dataset_folder(arguments)
    if folder is not None:
        items = _dataset(arguments, folder).sizes
    else:
        items = items_of(found_videos(arguments)[1].videos)
    with alone_in(arguments.out, "give another --out"):
        written = merge_features(parts, items, arguments.out, arguments.overwrite)
        status, count = parts.status(), sum(written.num_rows(v) is not None for v, _ in items)
        parts.merged(KEPT)
    print(f"{written.folder}: features of {counted(count, 'video')}, {written.header.width} wide")
    return status


def _features(arguments: argparse.Namespace, parts: Parts | None, out: Path) -> int:
    for option in ("num_frames", "stride", "size", "batch_size", "fsdp"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise UserError(f"--{option.replace('_', '-')} {value}: at least 1 is needed")
    if arguments.init in ("", RANDOM):
        raise UserError(f"--init={arguments.init}: a weights file or a run folder is needed")
    folder = _dataset_folder(arguments)
    if folder is not None:
        dataset = _dataset(arguments, folder)
        trained, mesh = _trained(arguments, dataset.fps, {"data": fingerprint(dataset)})
        loader, limit = LoaderConfig(), unreadable_limit(arguments)
        if arguments.workers is not None:
            with filled_by_options():
                loader = LoaderConfig(workers=arguments.workers)
        header = trained.header(dataset)
        if parts is not None:
            own = parts.begin(dataset.sizes, header.decisive)
            dataset = dataclasses.replace(dataset, videos=tuple(dataset.videos[n] for n in own))
        written = compute_features(
            trained,
            dataset,
            out,
            mesh=mesh,
            batch_size=arguments.batch_size,
            loader=loader,
            limit=limit,
            overwrite=arguments.overwrite,
            header=header,
        )
        return _ended(written, len(dataset.videos), Remarks(), parts)
    if jax.process_count() > 1:
        raise UserError("VIDEO: one process decodes video files; several take a --dataset")
    common, search = found_videos(arguments)
    seen = seen_by(arguments.init)
    fps = arguments.fps or (seen and seen.fps) or 1.0
    config, remarks = reading_at(arguments, fps), Remarks(search.problems, search.notes)
    trained, mesh = _trained(arguments, fps, {})
    remarks.say()
    head, sources = given_dataset(common, out, fps), search.videos
    if parts is not None:
        header = header_of_files(trained, head, config)
        sources = [sources[number] for number in parts.begin(items_of(sources), header.decisive)]
    written = features_of_files(
        trained,
        head,
        sources,
        config,
        mesh=mesh,
        batch_size=arguments.batch_size,
        remarks=remarks,
        overwrite=arguments.overwrite,
    )
    without = [source.video for source in sources if written.num_rows(source.video) is None]
    return _ended(written, len(sources) - len(without), remarks, parts, without)


def _dataset(arguments: argparse.Namespace, folder: Path) -> Dataset:
    dataset = read_dataset(folder)
    return dataset.split(arguments.split) if arguments.split else dataset


def _dataset_folder(arguments: argparse.Namespace) -> Path | None:
    """The dataset that is asked for; None where videos are."""
    if arguments.dataset is not None and arguments.videos:
        raise UserError("VIDEO and --dataset: say one of them")
    if arguments.dataset is None and not arguments.videos:
        raise UserError("say whose features: VIDEO …, or --dataset=FOLDER")
    if arguments.fps is not None and not 0 < arguments.fps <= 1000:
        raise UserError(f"--fps={arguments.fps:g}: should be above 0, at most 1000")
    if arguments.dataset is None and not is_dataset(arguments.videos):
        return None
    for option in ("fps", "clock", "stream", "deinterlace"):
        if getattr(arguments, option) is not None:
            raise UserError(f"--{option}: is of video files; a dataset's frames are there already")
    return arguments.dataset or arguments.videos[0]


def _trained(
    arguments: argparse.Namespace, fps: float, facts: dict[str, str]
) -> tuple[TrainedBackbone, Mesh]:
    """The backbone, fitted to its clips at a rate, and the devices.

    Args:
        facts: of the data, which all processes must share, as they must the weights.
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


def _ended(
    written: FeatureFolder,
    count: int,
    remarks: Remarks,
    parts: Parts | None,
    without: Sequence[str] = (),
) -> int:
    """Says what was written, and what could not be; 1 where a video was not read to its end."""
    if not count and parts is None:
        raise UserError(remarks.last())
    remarks.say()
    status = 1 if remarks.problems else 0
    if parts is not None:
        parts.end(status, without)
    if jax.process_index() == 0:
        print(
            f"{written.folder}: features of {counted(count, 'video')}, {written.header.width} wide"
        )
    return status


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
