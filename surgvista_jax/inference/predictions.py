"""The files of predictions: a table for each video, and predictions.npz for `evaluate`."""

import csv
import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.data.video_files import file_of, files_of
from surgvista_jax.inference.every_clip import Outputs, joined
from surgvista_jax.inference.moments import smoothed
from surgvista_jax.inference.pages_due import NOTE, Place
from surgvista_jax.inference.recordings import Moments
from surgvista_jax.inference.trained import Meaning, Trained
from surgvista_jax.ownership import Ownership
from surgvista_jax.predictions.frames import DAMAGE, VIDEO_FPS
from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.predictions.smoothing import Smoothing, told
from surgvista_jax.viewer.files import check_pages, write_pages
from surgvista_jax.viewer.film import Film
from surgvista_jax.viewer.lanes import Lane
from surgvista_jax.viewer.operation import Operation
from surgvista_jax.viewer.reading import read_operations
from surgvista_jax.viewer.videos import SOURCES, film_of_video, sources_text
from surgvista_jax.writing import Guard, replacing, write_text


def check_room(owned: Ownership, videos: Sequence[str]) -> None:
    """Refuses what writing would refuse, before anything is computed.

    Raises:
        UserError: the id of a video is no name of a file; a file in the way may not be replaced.
    """
    owned.check([owned.folder / name for name in (PREDICTIONS, SOURCES, NOTE)])
    owned.check(files_of(owned.folder, videos, ".csv"))
    check_pages(owned, videos)


def written_tables(
    each: Generator[Moments, None, None],
    owned: Ownership,
    meaning: Meaning,
    smoothing: Smoothing | None = None,
) -> Generator[Moments, None, None]:
    """Yields each video as soon as it is finished, smoothed, and its table is written.

    Args:
        each: is closed in the end.
        owned: of the folder that is written.

    Raises:
        UserError: what `each` and `write_table` raise.
    """
    with closing(each):
        for moments in each:
            if smoothing is not None:
                moments = smoothed(moments, smoothing)
            write_table(owned, meaning, moments)
            yield moments


def write_table(owned: Ownership, meaning: Meaning, moments: Moments) -> None:
    """Writes VIDEO.csv of a finished video.

    Args:
        owned: of the folder that is written.

    Raises:
        CannotWrite: it cannot be written.
        UserError: the id of the video is no name of a file; the file in the way is not ours.
    """
    path = file_of(owned.folder, moments.video.video, ".csv")
    _write_table(path, moments, meaning, owned)


def places_of(finished: Sequence[Moments]) -> list[Place]:
    """Where the frames of finished videos are."""
    return [(moments.folder, moments.video) for moments in finished]


def write_video_pages(
    owned: Ownership,
    places: Sequence[Place],
    options: VideoOptions | None = None,
    lanes: Callable[[str], tuple[Lane, ...]] = lambda video: (),
    film: Callable[[Operation], Film | None] | None = None,
) -> Path:
    """Writes the page of each video that is in predictions.npz; returns the one to open first.

    Args:
        owned: of the folder that is written, with predictions.npz in it.
        places: of the videos, from `places_of`.
        options: how video files were read; None: in the usual way.
        lanes: what more is shown of a video, by its id.
        film: the small frames of a video; None: they are read from its place.

    Raises:
        CannotWrite: one cannot be written.
    """
    place_of = {video.video: (folder, video) for folder, video in places}
    write_text(owned.folder / SOURCES, sources_text(places), owned)
    operations = read_operations(str(owned.folder / PREDICTIONS))
    return write_pages(
        owned,
        [dataclasses.replace(each, lanes=each.lanes + lanes(each.video)) for each in operations],
        film or (lambda shown: film_of_video(*place_of[shown.video], shown, options)),
    )


def said_of(smoothing: Smoothing | None, trained: Trained) -> dict[str, Any]:
    """What the meta of predictions says was done over time, and whether they see the past alone."""
    causal = trained.causal and (smoothing is None or smoothing.causal)
    return {**told(smoothing, trained.meaning.fps), "causal": causal}


def write_predictions(
    owned: Ownership,
    trained: Trained,
    dataset: Dataset,
    finished: Sequence[Moments],
    labelled: bool,
    done: Mapping[str, Any],
    guard: Guard | None = None,
) -> None:
    """Writes predictions.npz: after the tables, and before the pages, which are made from it.

    Args:
        owned: of the folder that is written.
        dataset: what the videos are of.
        finished: at least one video.
        done: from `said_of`.
        guard: is asked before the file takes its place, in place of `owned`.

    Raises:
        CannotWrite: it cannot be written.
    """
    meaning = trained.meaning
    meta = {
        "task": meaning.task,
        "classes": list(meaning.classes),
        "label_kind": meaning.label_kind,
        "fps": meaning.fps,
        "model": trained.name,
        "dataset": dataset.name,
        "split": next(iter(dataset.splits)) if len(dataset.splits) == 1 else "",
        **done,
    }
    rates = {moments.video.video: moments.video.fps for moments in finished}
    if other := {video: fps for video, fps in rates.items() if fps != meaning.fps}:
        meta[VIDEO_FPS] = other
    if damage := {
        moments.video.video: list(moments.damage) for moments in finished if moments.damage
    }:
        meta[DAMAGE] = damage
    dataset = dataclasses.replace(dataset, videos=tuple(moments.video for moments in finished))
    lengths = [len(moments.outputs.frame) for moments in finished]
    outputs = joined([moments.outputs for moments in finished])
    outputs = outputs._replace(video_index=np.repeat(np.arange(len(finished)), lengths))
    path = owned.folder / PREDICTIONS
    write_outputs(path, dataset, outputs, meta, labelled=labelled, guard=guard or owned)


def write_outputs(
    path: Path,
    dataset: Dataset,
    outputs: Outputs,
    meta: dict,
    *,
    labelled: bool = True,
    guard: Guard | None = None,
) -> None:
    """Writes what a model says of clips in the format that `surgvista evaluate` reads.

    Args:
        dataset: what the clips are of.
        labelled: whether the outputs hold labels.
        guard: is asked before a file is replaced.

    Raises:
        CannotWrite: the file cannot be written.
    """
    names = np.array([video.video for video in dataset.videos])
    label = outputs.label if outputs.label.ndim == 1 else outputs.label.astype(np.uint8)
    write_npz(
        path,
        video=names[outputs.video_index],
        frame=outputs.frame,
        score=outputs.values,
        label=label if labelled else None,
        meta=meta,
        guard=guard,
    )


def _write_table(path: Path, moments: Moments, meaning: Meaning, guard: Guard) -> None:
    """One line a moment; `data convert videos --labels` reads the labels once they are mended."""
    with replacing(path, guard) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("frame", "second", "label", *meaning.classes))
        for frame, row in zip(moments.outputs.frame, moments.outputs.values, strict=True):
            held = (
                [int(row.argmax())] if meaning.label_kind == "single" else np.flatnonzero(row > 0.5)
            )
            label = ";".join(meaning.classes[k] for k in held)
            second = f"{frame / moments.video.fps:.3f}"
            writer.writerow((int(frame), second, label, *(f"{value:.4f}" for value in row)))
