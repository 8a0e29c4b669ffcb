"""The command `surgvista features`: what a backbone says of every frame of videos, by video."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax

from surgvista_jax.config import filled_by_options
from surgvista_jax.counted import counted
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.own_videos import given_dataset
from surgvista_jax.data.conversion.sources import items_of
from surgvista_jax.data.dataset import Dataset, fingerprint
from surgvista_jax.data.storage.feature_folder import FeatureFolder
from surgvista_jax.data.storage.manifest import FILES, read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.asked_backbone import asked_backbone
from surgvista_jax.inference.batch_memory import add_check_memory
from surgvista_jax.inference.features import (
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
from surgvista_jax.inference.starting_point import RANDOM
from surgvista_jax.inference.unreadable_option import add_unreadable, unreadable_limit
from surgvista_jax.locking import alone_in
from surgvista_jax.models.heads import POOLS
from surgvista_jax.ownership import add_overwrite
from surgvista_jax.parts.option import add_part
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.plan_file import read_plan, refuse_begun
from surgvista_jax.parts.start import parts_of
from surgvista_jax.training import processes
from surgvista_jax.training.sole import sole_use


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
        trained, mesh = asked_backbone(arguments, dataset.fps, {"data": fingerprint(dataset)})
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
    trained, mesh = asked_backbone(arguments, fps, {})
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
