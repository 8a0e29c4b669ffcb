"""The command `surgvista predict`: a finetuned model's prediction for each moment of videos."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from surgvista_jax.config import filled_by_options
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.own_videos import convert_given, given_dataset
from surgvista_jax.data.conversion.sources import Search, find_given
from surgvista_jax.data.conversion.video_options import add_video_options, video_options
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.feature_folder import open_features
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.tfds import is_tfds
from surgvista_jax.errors import UserError
from surgvista_jax.inference.batch_memory import add_check_memory, check_batch, usual_batch
from surgvista_jax.inference.clip_batches import SAME_RATE
from surgvista_jax.inference.live_option import add_live, run_live
from surgvista_jax.inference.moments import (
    Moments,
    Remarks,
    of_dataset,
    of_features,
    of_recordings,
    other_rate,
    smoothed,
)
from surgvista_jax.inference.pages_due import PagesDue, pages_due, words_of
from surgvista_jax.inference.predictions import (
    check_room,
    places_of,
    said_of,
    write_predictions,
    write_table,
    write_video_pages,
)
from surgvista_jax.inference.smoothing_option import add_smoothing, smoothing_of
from surgvista_jax.inference.temporal import TrainedTemporal
from surgvista_jax.inference.trained import Meaning, Trained
from surgvista_jax.inference.unreadable_option import add_unreadable, unreadable_limit
from surgvista_jax.inference.video_option import add_annotated, annotated_copies
from surgvista_jax.inference.weights_option import add_weights, loaded
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import Ownership, add_overwrite, in_folder
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.partition import MeshConfig, check_divisible, make_mesh
from surgvista_jax.training.unreadable import UnreadableLimit
from surgvista_jax.writing import clear_asides

_LIVE = (
    "; without VIDEO, what to look at live: a file in real time, a camera (0, /dev/video0, an"
    " address), or - for frames on standard input"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "videos",
        nargs="*",
        type=Path,
        metavar="VIDEO",
        help="video files of any kind, folders of them or of frames; or one dataset folder",
    )
    parser.add_argument(
        "--checkpoint",
        required=True,
        metavar="[NAME:]WEIGHTS",
        help="a finetuning run, a finetuned model in any form that `finetune` takes, or a run of"
        " MS-TCN",
    )
    parser.add_argument("--out", type=Path, help="folder to be written")
    parser.add_argument("--split", help="of a dataset folder: only these videos (default: all)")
    parser.add_argument(
        "--margins", choices=("cut", "keep"), default="keep", help="black margins (%(default)s)"
    )
    add_smoothing(parser)
    add_annotated(parser)
    parser.add_argument(
        "--keep-frames",
        action="store_true",
        help="extract the frames to OUT/frames first, as JPEGs, and read them there: a second call"
        " extracts none again",
    )
    add_overwrite(parser)
    add_video_options(parser, _LIVE)
    add_live(parser)
    parser.add_argument(
        "--batch-size", type=int, help="clips at a time (32; on processors 4, for their memory)"
    )
    parser.add_argument("--workers", type=int, help="loader workers")
    add_unreadable(parser)
    add_check_memory(parser)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    add_weights(parser)
    parser.epilog = (
        "Written are predictions.npz, which `surgvista evaluate` reads, and for each video"
        " VIDEO.csv with frame, second, label and the probability of each class, and VIDEO.html, a"
        " page to look at (index.html lists those of several). Live, predictions are JSON lines on"
        " standard output: time, label, probability, latency_ms. In a dataset"
        " folder with labels of the same classes, the labelled frames are looked at."
    )


def main(arguments: argparse.Namespace) -> int:
    """Predicts, reports, and returns 0 if every video was read to its end and shown, else 1."""
    if not arguments.videos:
        start_devices()
        keep_compiled()
        return run_live(arguments)
    if arguments.out is None:
        raise UserError("--out=FOLDER: is needed; the folder to be written")
    video_options(arguments)  # a source of --stream is refused, whatever VIDEO is
    if arguments.batch_size is not None and arguments.batch_size < 1:
        raise UserError(f"--batch-size {arguments.batch_size}: must be 1 or more")
    owned, words = in_folder(arguments.out, arguments.overwrite), words_of(arguments)
    with alone_in(arguments.out, "take another --out"):
        clear_asides(arguments.out)
        path = arguments.out / PREDICTIONS
        if arguments.overwrite or not os.path.lexists(path):
            return _write_pages(_predict(arguments, owned, words))
        if due := pages_due(owned, words, path):
            some = ", in which videos failed" if due.status else ""
            said = f"{path}: is whole since an earlier start{some}; its pages are written"
            print(f"{said}; --overwrite predicts anew", file=sys.stderr)
            return _write_pages(due)
        # Not replaced unasked, though it be ours: another model may have made it, in hours.
        raise UserError(f"{path}: is there already; take another --out, or --overwrite")


def _predict(arguments: argparse.Namespace, owned: Ownership, words: dict[str, Any]) -> PagesDue:
    """Predicts and writes all but the pages; `words` tell the command from others."""
    loader, limit = LoaderConfig(), unreadable_limit(arguments)
    if arguments.workers is not None:
        with filled_by_options():
            loader = LoaderConfig(workers=arguments.workers)
    start_devices()
    keep_compiled()
    mesh = make_mesh(MeshConfig())
    if arguments.batch_size is None:
        arguments.batch_size = usual_batch(mesh)
    check_divisible(mesh, batch_size=arguments.batch_size, key="--batch-size")
    trained = loaded(arguments)
    meaning = trained.meaning
    smoothing = smoothing_of(arguments, meaning, trained.transitions)
    copies = annotated_copies(arguments, owned, meaning)
    if arguments.check_memory and arguments.features is None:
        said = check_batch(
            trained.of_clip,
            trained.init,
            trained.backbone.clip,
            arguments.batch_size,
            mesh,
            "--batch-size",
        )
        if said:
            print(f"WARNING: {said}", file=sys.stderr)
    print(f"{arguments.checkpoint}: {meaning}", file=sys.stderr)
    remarks = Remarks()
    each, dataset, labelled = _moments(arguments, trained, owned, mesh, remarks, loader, limit)
    if copies is not None:
        copies.check([video.video for video in dataset.videos])
    remarks.say()
    finished = []
    with closing(each):
        for moments in each:
            if smoothing is not None:
                moments = smoothed(moments, smoothing)
            # Whatever else is made of one video is made here, as soon as its moments are known.
            write_table(owned, meaning, moments)
            if copies is not None:
                remarks.add(copies.write(moments), printed=True)
            finished.append(moments)
    if not finished:
        raise UserError(remarks.last())
    remarks.say()
    done, status = said_of(smoothing, trained), 1 if remarks.problems else 0
    due = PagesDue(owned, words, status, places_of(finished))
    write_predictions(owned, trained, dataset, finished, labelled, done, due)
    count = sum(len(moments.outputs.frame) for moments in finished)
    clips = f"{count} {'labelled ' if labelled else ''}clips"
    print(f"{arguments.out / PREDICTIONS}: {clips} of {len(finished)} videos")
    return due


def _write_pages(due: PagesDue) -> int:
    out = due.owned.folder
    try:
        shown = write_video_pages(due.owned, due.places)
        due.done()
    except UserError as error:
        print(f"{error}; {due.left(error)}", file=sys.stderr)
        return 1
    print(f"{shown}: open it in a browser; `surgvista view {out}` plays the video too")
    return due.status


def _moments(
    arguments: argparse.Namespace,
    trained: Trained,
    owned: Ownership,
    mesh: Mesh,
    remarks: Remarks,
    loader: LoaderConfig,
    limit: UnreadableLimit,
) -> tuple[Generator[Moments, None, None], Dataset, bool]:
    """What finishes video after video; what they are of; and whether their labels are known.

    The videos of the dataset are those that are asked for, which need not all be finished.
    """
    meaning, size = trained.meaning, arguments.batch_size
    if not _is_dataset(arguments):
        if arguments.features is not None:
            raise UserError("--features: is for a dataset folder, whose features they are")
        folder, search = _found(arguments)
        if not (arguments.keep_frames or any(source.is_folder for source in search.videos)):
            videos = tuple(Video(s.video, s.path.name, meaning.fps, 0) for s in search.videos)
            check_room(owned, [video.video for video in videos])
            remarks.add(search.problems, search.notes)
            dataset = given_dataset(folder, folder, meaning.fps)
            config = _extract_config(arguments, meaning)
            each = of_recordings(
                trained, search.videos, config, remarks, mesh=mesh, batch_size=size
            )
            return each, dataclasses.replace(dataset, videos=videos), False
    dataset = _with_frames(arguments, trained, owned, remarks)
    check_room(owned, [video.video for video in dataset.videos])
    labelled = (dataset.classes, dataset.label_kind) == (meaning.classes, meaning.label_kind)
    labelled &= all(video.labels is not None for video in dataset.videos)
    if arguments.features is not None and isinstance(trained, TrainedTemporal):
        features = open_features(arguments.features)
        return of_features(trained, dataset, features, labelled=labelled), dataset, labelled
    each = of_dataset(
        trained,
        dataset,
        labelled=labelled,
        mesh=mesh,
        batch_size=size,
        loader=loader,
        limit=limit,
    )
    return each, dataset, labelled


def _is_dataset(arguments: argparse.Namespace) -> bool:
    first = arguments.videos[0]
    return len(arguments.videos) == 1 and ((first / "dataset.json").is_file() or is_tfds(first))


def _with_frames(
    arguments: argparse.Namespace, trained: Trained, owned: Ownership, remarks: Remarks
) -> Dataset:
    """A dataset folder, or one made of the videos, without those of another rate."""
    meaning = trained.meaning
    if _is_dataset(arguments):
        dataset = read_dataset(arguments.videos[0])
        dataset = trained.split(dataset, arguments.split) if arguments.split else dataset
    else:
        conversion = convert_given(
            *_found(arguments),
            arguments.out / "frames",
            _extract_config(arguments, meaning),
            partial(check_room, owned),
            overwrite=arguments.overwrite,
        )
        dataset = conversion.dataset
        remarks.add(conversion.problems, conversion.notes)
    # A clip of another rate spans another time than those of training.
    slow = [video for video in dataset.videos if abs(video.fps / meaning.fps - 1) > SAME_RATE]
    remarks.add([other_rate(video.video, video.fps, meaning.fps) for video in slow])
    if len(slow) == len(dataset.videos):
        raise UserError(remarks.last())
    videos = tuple(video for video in dataset.videos if video not in slow)
    return dataclasses.replace(dataset, videos=videos)


def _found(arguments: argparse.Namespace) -> tuple[Path, Search]:
    """The videos that are listed, and the folder of all of them."""
    if arguments.split:
        raise UserError("--split: is for a dataset folder")
    source, search = find_given(arguments.videos, skip=arguments.out)
    if not search.videos:
        raise UserError(f"{arguments.videos[0]}: no video and no folder of images in it")
    return source, search


def _extract_config(arguments: argparse.Namespace, meaning: Meaning) -> ExtractConfig:
    margins = arguments.margins == "cut"
    return ExtractConfig(meaning.fps, cut_margins=margins, **video_options(arguments))
