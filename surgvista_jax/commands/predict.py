"""The command `surgvista predict`: a finetuned model's prediction for each moment of videos."""

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from surgvista_jax.config import filled_by_options
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.video_options import video_options
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.inference.asked_moments import asked_moments
from surgvista_jax.inference.batch_memory import (
    add_batch_size,
    add_check_memory,
    check_batch,
    usual_batch,
)
from surgvista_jax.inference.given_videos import add_given, is_dataset
from surgvista_jax.inference.idle_options import refuse_idle, way_of
from surgvista_jax.inference.live_option import LIVE_HELP, add_live, run_live
from surgvista_jax.inference.pages_due import PagesDue, pages_due, words_of
from surgvista_jax.inference.predictions import (
    places_of,
    said_of,
    write_predictions,
    write_video_pages,
    written_tables,
)
from surgvista_jax.inference.remarks import Remarks
from surgvista_jax.inference.smoothing_option import add_smoothing, smoothing_of
from surgvista_jax.inference.unreadable_option import add_unreadable, unreadable_limit
from surgvista_jax.inference.video_option import add_annotated, annotated_copies
from surgvista_jax.inference.weights_option import add_weights, loaded
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import Ownership, add_overwrite, in_folder
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.partition import MeshConfig, check_divisible, make_mesh
from surgvista_jax.writing import clear_asides


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_given(parser, LIVE_HELP)
    parser.add_argument(
        "--checkpoint",
        required=True,
        metavar="[NAME:]WEIGHTS",
        help="a finetuning run, a finetuned model in any form that `finetune` takes, or a run of"
        " MS-TCN",
    )
    parser.add_argument("--out", type=Path, help="folder to be written; live, at the end")
    add_smoothing(parser)
    add_annotated(parser)
    parser.add_argument(
        "--keep-frames",
        action="store_true",
        help="extract the frames to OUT/frames first, as JPEGs, and read them there: a second call"
        " extracts none again",
    )
    add_overwrite(parser)
    add_live(parser)
    add_batch_size(parser)
    parser.add_argument("--workers", type=int, help="loader workers; of video files, threads")
    add_unreadable(parser)
    add_check_memory(parser)
    add_weights(parser)
    parser.epilog = (
        "Written are predictions.npz, which `surgvista evaluate` reads, and for each video"
        " VIDEO.csv with frame, second, label and the probability of each class, and VIDEO.html, a"
        " page to look at (index.html lists those of several). Live, predictions are JSON lines on"
        " standard output: time, label, probability, latency_ms; with --out the same files are"
        " written at the end, also by Ctrl-C. In a dataset folder with labels of the same classes,"
        " the labelled frames are looked at."
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
    if is_dataset(arguments.videos):
        refuse_idle(arguments, way_of(arguments))
    if arguments.batch_size is not None and arguments.batch_size < 1:
        raise UserError(f"--batch-size {arguments.batch_size}: must be 1 or more")
    owned, words = in_folder(arguments.out, arguments.overwrite), words_of(arguments)
    with alone_in(arguments.out, "take another --out"):
        clear_asides(arguments.out)
        path = arguments.out / PREDICTIONS
        if arguments.overwrite or not os.path.lexists(path):
            return _write_pages(_predict(arguments, owned, words), arguments)
        if due := pages_due(owned, words, path):
            start_devices()
            if loaded(arguments).digest != due.weights:
                raise UserError(
                    f"{path}: is there already, by other weights than {arguments.checkpoint} holds"
                    " now; take another --out, or --overwrite"
                )
            some = ", in which videos failed" if due.status else ""
            said = f"{path}: is whole since an earlier start{some}; its pages are written"
            print(f"{said}; --overwrite predicts anew", file=sys.stderr)
            return _write_pages(due, arguments)
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
    each, dataset, labelled = asked_moments(
        arguments, trained, owned, remarks, mesh=mesh, loader=loader, limit=limit
    )
    if copies is not None:
        copies.check([video.video for video in dataset.videos])
    remarks.say()
    finished = []
    with closing(written_tables(each, owned, meaning, smoothing)) as tables:
        for moments in tables:
            if copies is not None:
                remarks.add(copies.write(moments), printed=True)
            finished.append(moments)
    if not finished:
        raise UserError(remarks.last())
    remarks.say()
    done, status = said_of(smoothing, trained), 1 if remarks.problems else 0
    due = PagesDue(owned, words, trained.digest, status, places_of(finished))
    write_predictions(owned, trained, dataset, finished, labelled, done, due)
    count = sum(len(moments.outputs.frame) for moments in finished)
    clips = f"{count} {'labelled ' if labelled else ''}clips"
    print(f"{arguments.out / PREDICTIONS}: {clips} of {len(finished)} videos")
    return due


def _write_pages(due: PagesDue, arguments: argparse.Namespace) -> int:
    out, options = due.owned.folder, VideoOptions(**video_options(arguments))
    try:
        shown = write_video_pages(due.owned, due.places, options)
        due.done()
    except UserError as error:
        print(f"{error}; {due.left(error)}", file=sys.stderr)
        return 1
    print(f"{shown}: open it in a browser; `surgvista view {out}` plays the video too")
    return due.status
