"""Label files as `surgvista data convert videos` reads them, as ground truth or as predictions.

A CSV file for all videos or a folder with one for each: rows of intervals, of seconds, of frames
with their seconds, or of whole clips (`path,label`). They tell times themselves and are looked up
at the moments that are asked for.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.labels.own_csv import LabelFiles
from surgvista_jax.data.labels.row_labels import LabelColumns
from surgvista_jax.data.labels.tables import read_rows
from surgvista_jax.data.labels.track import Track, length_notes, numbered_from_one
from surgvista_jax.data.labels.video_table import VIDEO, VideoNames, video_column
from surgvista_jax.data.rates import ROUNDING
from surgvista_jax.data.storage.suffixes import VIDEO_SUFFIXES
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near, same_class
from surgvista_jax.predictions.class_names import class_ids
from surgvista_jax.predictions.frames import Predictions, assemble

# Labels that last so much longer or shorter than the predictions are at another rate.
_FACTOR = 2.0


def is_label_csv(place: Path) -> bool:
    """Whether a path is a CSV file, or a folder of them."""
    if place.is_dir():
        return any(place.rglob("*.csv"))
    return place.suffix.lower() in (".csv", ".tsv")


def read_labels(
    place: Path,
    task: str,
    classes: Sequence[str],
    fps: float,
    *,
    column: str | None = None,
    first_class: int | None = None,
    predicted: Predictions | None = None,
) -> Predictions:
    """Reads label files.

    Args:
        place: the CSV file, or the folder of them.
        task: one of `facts.tasks.TASKS`, which says the column and whether labels are several.
        classes: names in the order of their ids; () where the numbers of classes tell it.
        fps: the rate at which they are looked up.
        column: of the labels; None: `label`, or that of the task.
        first_class: number of the first class where classes are numbers.
        predicted: what they are the truth of: its frames without a label are unlabelled, and labels
            of whole clips hold for its frames.

    Returns:
        Decisions [N], -1 where unlabelled; or of tasks with several labels, `label` int8 [N, C].

    Raises:
        UserError: naming file and line, or classes that are not known.
    """
    source = str(place)
    columns = LabelColumns(task, column, frozenset(map(same_class, classes)))
    known = predicted.videos if predicted is not None else ()
    root, names = _videos(place, known)
    files = LabelFiles(root, columns, None, names)
    spelled, _ = files.classes()
    if not spelled:
        raise UserError(f"{source}: no label in it")
    ids = class_ids(np.array(spelled), classes, source, first_class)
    width = max(len(classes), int(ids.max()) + 1)
    videos, frames, labels, notes = [], [], [], []
    for video in dict.fromkeys(names.ids):
        track = files.track(video, spelled)
        own = _predicted_frames(predicted, video)
        frame = _moments(track, fps, own)
        if own is not None:
            notes += _length_notes(video, track, own, fps)
        videos.append(np.full(len(frame), video))
        frames.append(frame)
        labels += [_mapped(label, ids) for label in track.at(frame / fps)]
    rows, frame = np.concatenate(videos), np.concatenate(frames)
    if not columns.multi:
        decision = np.array(labels, np.int64)
        found = assemble(source, rows, frame, fps, decision=decision, classes=classes)
    else:
        several = np.zeros((len(labels), width), np.int8)
        for row, label in zip(several, labels, strict=True):
            if isinstance(label, tuple):
                row[list(label)] = 1
            else:
                row[:] = UNLABELLED
        found = assemble(source, rows, frame, fps, label=several, classes=classes)
    return replace(found, notes=(*found.notes, *notes))


def _predicted_frames(predicted: Predictions | None, video: str) -> np.ndarray | None:
    """The frames of a predicted video; None where it is not among them."""
    if predicted is None or video not in predicted.videos:
        return None
    return predicted.frame[predicted.rows(predicted.videos.index(video))]


def _videos(place: Path, known: Sequence[str]) -> tuple[Path, VideoNames]:
    """The folder or file to be read, and what its videos are called.

    Args:
        known: names of videos that are preferred to what the file calls them.
    """
    if place.is_dir():
        files = sorted(path.relative_to(place) for path in place.rglob("*.csv"))
        ids = [path.with_suffix("").as_posix() for path in files]
        return place, VideoNames(place, dict(zip(ids, ids, strict=True)))
    rows = list(read_rows(place))
    column = next((name for name in VIDEO if rows and name in rows[0].cells), None)
    if column is None:  # a file of one video, which it is named as
        if rows and (len(known) > 1 or near(VIDEO[0], [*rows[0].cells])):
            video_column(place, rows[0])  # says what is missing
        return place.parent, VideoNames(place.parent, {place.stem: place.stem})
    named = dict.fromkeys(row.cells[column].strip() for row in rows)
    theirs = VideoNames(Path(), dict(zip(known, known, strict=True))) if known else None
    return place, VideoNames(Path(), {name: _id_of(name, theirs) for name in named})


def _id_of(name: str, known: VideoNames | None) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    bare = path.with_suffix("") if path.suffix.lower() in VIDEO_SUFFIXES else path
    if known is None:
        return bare.as_posix()
    texts = [name]
    for form in dict.fromkeys((bare, path.with_suffix("") if path.suffix else path)):
        # A path may begin further up than the names of the videos do.
        texts += ["/".join(form.parts[k:]) for k in range(len(form.parts))]
    for text in texts:
        try:
            return known.id_of(text, "")
        except UserError:  # not predicted
            continue
    return bare.as_posix()


def _moments(track: Track, fps: float, own: np.ndarray | None) -> np.ndarray:
    """The frames, int64 [n], at which a track is looked up."""
    if math.isinf(track.seconds):
        return np.zeros(1, np.int64) if own is None else own
    count = math.ceil(track.seconds * fps - ROUNDING)
    if own is not None:
        count = max(count, int(own[-1]) + 1)
    return np.arange(max(count, 1), dtype=np.int64)


def _length_notes(video: str, track: Track, own: np.ndarray, fps: float) -> list[str]:
    lasts = (int(own[-1]) + 1) / fps
    if text := numbered_from_one(track, lasts):
        raise UserError(f"{video}: {text}")
    texts = length_notes(track.seconds, lasts, fps)
    if texts and not 1 / _FACTOR < track.seconds / lasts < _FACTOR:
        raise UserError(f"{video}: {texts[0]} (predictions of {lasts:.0f} s; check --fps)")
    return [f"{video}: {text}" for text in texts]


def _mapped(label: int | tuple[int, ...], ids: np.ndarray) -> int | tuple[int, ...]:
    if isinstance(label, tuple):
        return tuple(int(ids[k]) for k in label)
    return UNLABELLED if label == UNLABELLED else int(ids[label])
