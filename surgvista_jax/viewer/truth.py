"""What is true of the moments of predicted videos, from files of any rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surgvista_jax.data.dataset import UNLABELLED, Video
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.tfds import is_tfds
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import same_class
from surgvista_jax.facts.tasks import NONE, TASKS
from surgvista_jax.predictions.concatenated import is_text_file
from surgvista_jax.predictions.frames import VIDEO_FPS, Predictions, assemble
from surgvista_jax.predictions.label_csv import is_label_csv, read_labels
from surgvista_jax.predictions.text_folder import read_folder
from surgvista_jax.predictions.truth import check_durations, partners
from surgvista_jax.viewer.operation import names_differ

_REACH = 1.5  # periods for which a label counts


@dataclass(frozen=True, eq=False)
class Truth:
    """Labels of videos over time.

    Attributes:
        source: where they are from.
        fps: their rate.
        videos: name -> (seconds float [m], ascending; int [m] or [m, C], -1 where unlabelled).
    """

    source: str
    fps: float
    videos: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def of(self, video: str, seconds: np.ndarray) -> np.ndarray | None:
        """The label at each of some times, -1 where there is none; None of a video without any."""
        if video not in self.videos:
            return None
        times, label = self.videos[video]
        at, known = matched(times, seconds, 1 / self.fps)
        return np.where(known if label.ndim == 1 else known[:, None], label[at], UNLABELLED)


def matched(times: np.ndarray, seconds: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each of some seconds, the last of ascending times before it, and whether it still counts.

    Args:
        period: how long one counts at least.
    """
    at = np.searchsorted(times, seconds + 1e-6, side="right") - 1
    known = (at >= 0) & (seconds - times[np.maximum(at, 0)] < _REACH * period)
    return np.maximum(at, 0), known


def same_names(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether two lists name the same classes, in whatever order and spelling."""
    return sorted(map(same_class, ours)) == sorted(map(same_class, theirs))


def read_truth(found: Predictions, place: Path, fps: float | None) -> Truth:
    """Reads what is true of predicted videos; videos that it does not name have none.

    Args:
        place: a dataset folder, label files as `data convert videos` reads them, or phase files.
        fps: rate of the frame numbers of phase files; None: that of the predictions.

    Raises:
        UserError: it cannot be read, has other classes, or none of the videos.
    """
    if not place.exists():
        raise UserError(f"--truth {place}: no such file or folder")
    if (place / "dataset.json").is_file() or is_tfds(place):
        truth = _of_dataset(found, place)
    elif is_label_csv(place):
        task = str((found.meta or {}).get("task") or "")
        truth = read_labels(
            place, task if task in TASKS else "phase", found.classes, found.fps, predicted=found
        )
    elif place.is_dir() or is_text_file(place):
        truth = read_folder(place, str(place), fps or found.fps, found.classes)
    else:
        raise UserError(
            f"--truth {place}: give a dataset folder, label files (.csv) or phase files (.txt)"
        )
    kept, partner, _ = partners(found, truth, "drop")
    check_durations(kept, truth, partner)
    labels = truth.label if truth.decision is None else truth.decision
    assert labels is not None
    videos = {}
    for video, number in zip(kept.videos, partner, strict=True):
        rows = truth.rows(number)
        videos[video] = truth.frame[rows] / truth.fps_of(video), labels[rows]
    return Truth(str(place), truth.fps, videos)


def _of_dataset(found: Predictions, folder: Path) -> Predictions:
    """The labels of a dataset, as ids of the predicted classes."""
    dataset = read_dataset(folder)
    labelled = [video for video in dataset.videos if video.labels is not None]
    if dataset.task == NONE or not labelled:
        raise UserError(f"{folder}: a dataset without labels")
    if not same_names(found.classes, dataset.classes):
        raise UserError(
            f"{folder}: its classes are not those of {found.source}: "
            + names_differ(found.classes, dataset.classes)
        )
    place = {same_class(name): k for k, name in enumerate(found.classes)}
    ids = [place[same_class(name)] for name in dataset.classes]
    several = dataset.label_kind == "multi"
    labels = np.concatenate([_labels(video, ids, several) for video in labelled])
    true = assemble(
        str(folder),
        np.concatenate([np.full(len(video.labels or ()), video.video) for video in labelled]),
        np.concatenate([np.arange(len(video.labels or ())) for video in labelled]),
        dataset.fps,
        label=labels if several else None,
        decision=None if several else labels,
        classes=found.classes,
    )
    return replace(true, meta={VIDEO_FPS: {video.video: video.fps for video in labelled}})


def _labels(video: Video, ids: Sequence[int], several: bool) -> np.ndarray:
    assert video.labels is not None
    if not several:
        return np.array([k if k < 0 else ids[k] for k in video.labels], np.int64)
    rows = np.zeros((len(video.labels), len(ids)), np.int8)
    for row, held in zip(rows, video.labels, strict=True):
        if held == UNLABELLED:
            row[:] = UNLABELLED
        else:
            row[[ids[k] for k in held]] = 1
    return rows
