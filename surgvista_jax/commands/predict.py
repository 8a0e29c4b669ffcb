"""The command `surgvista predict`: a finetuned model's prediction for each moment of videos."""

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from jax.sharding import Mesh

from surgvista_jax.config import filled_by_options
from surgvista_jax.counted import counted
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.video_options import video_options
from surgvista_jax.data.storage.manifest import FILES
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.inference.asked_moments import Asked, asked_moments
from surgvista_jax.inference.batch_memory import (
    add_batch_size,
    add_check_memory,
    check_batch,
    usual_batch,
)
from surgvista_jax.inference.given_videos import add_given, is_dataset
from surgvista_jax.inference.idle_options import refuse_idle, way_of
from surgvista_jax.inference.live_option import LIVE_HELP, add_live, run_live
from surgvista_jax.inference.moments_in_parts import KEPT, PREDICT, Choice
from surgvista_jax.inference.pages_due import PagesDue, pages_due, room_for_note
from surgvista_jax.inference.predictions import (
    places_of,
    said_of,
    write_predictions,
    write_video_pages,
    written_tables,
)
from surgvista_jax.inference.remarks import Remarks
from surgvista_jax.inference.smoothing_option import add_smoothing, smoothing_of
from surgvista_jax.inference.trained import Trained
from surgvista_jax.inference.unreadable_option import add_unreadable, unreadable_limit
from surgvista_jax.inference.video_option import AnnotatedCopies, add_annotated, annotated_copies
from surgvista_jax.inference.weights_option import add_weights, loaded
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import Ownership, add_overwrite, in_folder
from surgvista_jax.parts.option import add_part
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.plan_file import refuse_begun
from surgvista_jax.parts.start import parts_of
from surgvista_jax.parts.words import words_of
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.predictions.smoothing import Smoothing
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.partition import MeshConfig, check_divisible, make_mesh
from surgvista_jax.training.unreadable import UnreadableLimit
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
    add_part(parser)
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
    owned, words = in_folder(arguments.out, arguments.overwrite), words_of(arguments, FILES)
    path, parts = arguments.out / PREDICTIONS, parts_of(arguments, arguments.out, PREDICT, FILES)
    if parts is None:
        refuse_begun(arguments.out, PREDICT)
    elif not parts.part.is_merge:
        if not arguments.overwrite and os.path.lexists(path):
            raise UserError(f"{path}: is there already; take another --out, or --overwrite")
        with parts.alone():
            clear_asides(parts.folder)
            return _predict_part(arguments, owned, parts)
    with alone_in(arguments.out, "take another --out"):
        clear_asides(arguments.out)
        status = _predict_all(arguments, owned, words, parts)
        if parts is not None:
            parts.merged(KEPT)
        return status


def _predict_all(
    arguments: argparse.Namespace, owned: Ownership, words: dict[str, Any], parts: Parts | None
) -> int:
    """Predicts, or merges what parts predicted, or writes the pages that an earlier start left."""
    path = arguments.out / PREDICTIONS
    if arguments.overwrite or not os.path.lexists(path):
        return _write_pages(_predict(arguments, owned, words, parts), arguments)
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
    if parts is not None and owned.wrote(path):  # by a merge that was killed as it cleared up
        return parts.status()
    # Not replaced unasked, though it be ours: another model may have made it, in hours.
    raise UserError(f"{path}: is there already; take another --out, or --overwrite")


class _Ready(NamedTuple):
    """What predicts, and how frames are read."""

    trained: Trained
    mesh: Mesh
    loader: LoaderConfig
    limit: UnreadableLimit
    smoothing: Smoothing | None
    copies: AnnotatedCopies | None


def _ready(arguments: argparse.Namespace, owned: Ownership, computes: bool = True) -> _Ready:
    loader, limit = LoaderConfig(), unreadable_limit(arguments)
    if arguments.workers is not None:
        with filled_by_options():
            loader = LoaderConfig(workers=arguments.workers)
    start_devices()
    keep_compiled()
    mesh = make_mesh(MeshConfig())
    if arguments.batch_size is None:
        arguments.batch_size = usual_batch(mesh)
    if computes:
        check_divisible(mesh, batch_size=arguments.batch_size, key="--batch-size")
    trained = loaded(arguments)
    smoothing = smoothing_of(arguments, trained.meaning, trained.transitions)
    copies = annotated_copies(arguments, owned, trained.meaning)
    if computes and arguments.check_memory and arguments.features is None:
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
    print(f"{arguments.checkpoint}: {trained.meaning}", file=sys.stderr)
    return _Ready(trained, mesh, loader, limit, smoothing, copies)


def _asked(
    arguments: argparse.Namespace,
    ready: _Ready,
    owned: Ownership,
    remarks: Remarks,
    choice: Choice | None,
) -> Asked:
    return asked_moments(
        arguments,
        ready.trained,
        owned,
        remarks,
        mesh=ready.mesh,
        loader=ready.loader,
        limit=ready.limit,
        choice=choice,
    )


def _predict_part(arguments: argparse.Namespace, owned: Ownership, parts: Parts) -> int:
    """Predicts the videos of one part, and keeps what is said of them for the merge."""
    ready, remarks = _ready(arguments, owned), Remarks()
    choice = Choice(parts, {"weights": ready.trained.digest})
    each = _asked(arguments, ready, owned, remarks, choice).each
    remarks.say()
    without = choice.keep(each, remarks)
    remarks.say()
    parts.end(status := 1 if remarks.problems else 0, without)
    count = len(choice.own) - len(without)
    print(f"{parts.folder}: {count} of the {len(choice.own)} videos of part {parts.part}")
    return status


def _predict(
    arguments: argparse.Namespace,
    owned: Ownership,
    words: dict[str, Any],
    parts: Parts | None,
) -> PagesDue:
    """Predicts and writes all but the pages; `words` tell the command from others."""
    ready, remarks = _ready(arguments, owned, computes=parts is None), Remarks()
    trained, copies, smoothing = ready.trained, ready.copies, ready.smoothing
    choice = None if parts is None else Choice(parts, {"weights": trained.digest})
    each, dataset, labelled = _asked(arguments, ready, owned, remarks, choice)
    if choice is not None:
        each = choice.kept(remarks)
    if copies is not None:
        copies.check([video.video for video in dataset.videos])
    remarks.say()
    finished = []
    with (
        closing(written_tables(each, owned, trained.meaning, smoothing)) as tables,
        room_for_note(owned, words, dataset.videos),
    ):
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
    clips = counted(count, f"{'labelled ' if labelled else ''}clip")
    print(f"{arguments.out / PREDICTIONS}: {clips} of {counted(len(finished), 'video')}")
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
