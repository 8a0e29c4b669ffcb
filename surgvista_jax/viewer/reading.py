"""From files of predictions, and of what is true, to the operations that pages show."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.facts.tasks import LABEL_KINDS, TASKS
from surgvista_jax.metrics.calibration import are_probabilities, reliability_bins
from surgvista_jax.predictions.class_names import column_order
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.predictions.npz import read_npz
from surgvista_jax.predictions.places import file_in
from surgvista_jax.viewer.lane_files import SUFFIX, read_lanes
from surgvista_jax.viewer.lanes import Classes, Pictures
from surgvista_jax.viewer.operation import Operation, Said, names_differ, quantised, segments
from surgvista_jax.viewer.truth import Truth, matched, read_truth, same_names

MOST_CLASSES = 24  # of a lane


def read_operations(
    path: str,
    *,
    truth: Path | None = None,
    truth_fps: float | None = None,
    against: str | None = None,
    lanes: Sequence[str] = (),
) -> list[Operation]:
    """What a file of predictions says of each of its videos.

    Args:
        path: predictions.npz, or a folder that holds one. Labels in it are the truth.
        truth: a dataset folder, label files or phase files, which count instead.
        truth_fps: rate of the frame numbers of phase files; None: that of the predictions.
        against: predictions of a second model for videos of the same names.
        lanes: predictions of any other classes for videos of the same names, and files of
            pictures.

    Raises:
        UserError: a file that cannot be read; classes that are not the same, by name; no video in
            common.
    """
    found = _read(path)
    several, classes = _several(found), _classes(found)
    likely = _likely(found, several)
    true = _own_truth(found) if truth is None else read_truth(found, truth, truth_fps)
    other = None if against is None else _second(against, found, several)
    pictures: dict[str, tuple[Pictures, ...]] = {}
    for lane in lanes:
        if Path(lane).suffix.lower() == SUFFIX:
            of, more = read_lanes(Path(lane), found.videos)
            pictures[of] = pictures.get(of, ()) + more
    files = [lane for lane in lanes if Path(lane).suffix.lower() != SUFFIX]
    read = [_of_same_videos(_read(lane), found) for lane in files]
    further = [_Further(lane, _several(lane)) for lane in read]
    beside = None if other is None else _Further(other, several)
    operations = []
    for number, video in enumerate(found.videos):
        said = _said(found, number, several, likely)
        notes = [] if likely else [f"{found.source}: its scores are no probabilities"]
        rows = found.rows(number)
        known = None if true is None else true.of(video, found.frame[rows] / found.fps_of(video))
        operation = Operation(
            video=video,
            task=str((found.meta or {}).get("task") or ""),
            fps=found.fps_of(video),
            frame=found.frame[rows],
            classes=classes,
            said=said,
            truth=None
            if known is None
            else _of_labels(known, several, true.source if true else ""),
            notes=tuple(notes),
            damage=found.damage_of(video),
            lanes=(
                *(_lane(lane, video) for lane in further if video in lane.numbers),
                *pictures.get(video, ()),
            ),
        )
        if beside is not None:
            operation = replace(operation, other=_beside(operation, beside))
        assert found.score is not None  # of an .npz file
        bins = _reliability(operation, found.score[rows])
        operations.append(replace(operation, reliability=bins))
    return operations


def _read(path: str) -> Predictions:
    place = file_in(path)
    if place.suffix != ".npz":
        raise UserError(f"{path}: give predictions.npz, or a folder that holds one")
    return read_npz(place, path)


def _several(found: Predictions) -> bool:
    """Whether several classes may hold at once."""
    meta = found.meta or {}
    kind, task = meta.get("label_kind"), meta.get("task")
    if kind in LABEL_KINDS:
        return kind == "multi"
    if found.label is not None:
        return found.label.ndim == 2
    if isinstance(task, str) and task in TASKS:
        return TASKS[task].label_kind == "multi"
    assert found.score is not None
    return not are_probabilities(found.score)


def _classes(found: Predictions) -> tuple[str, ...]:
    assert found.score is not None
    return found.classes or tuple(f"class {k}" for k in range(found.score.shape[1]))


def _likely(found: Predictions, several: bool) -> bool:
    """Whether the scores of a file are probabilities, in each of its videos."""
    score = found.score
    assert score is not None
    if score.min() < -1e-6 or score.max() > 1 + 1e-6:
        return False
    return several or are_probabilities(score)


class _Further:
    """A further file of predictions, with what is the same for all its videos found once."""

    def __init__(self, found: Predictions, several: bool):
        self.found, self.several, self.likely = found, several, _likely(found, several)
        self.numbers = {video: number for number, video in enumerate(found.videos)}

    def said(self, video: str) -> tuple[np.ndarray, Said]:
        """The frames of a video that it holds, and what it says at them."""
        number = self.numbers[video]
        said = _said(self.found, number, self.several, self.likely)
        return self.found.frame[self.found.rows(number)], said


def _said(found: Predictions, number: int, several: bool, likely: bool) -> Said:
    """What a file says of one of its videos."""
    assert found.score is not None
    own = found.score[found.rows(number)]
    name = str((found.meta or {}).get("model") or Path(found.source).name)
    known = np.ones(len(own), bool)
    probability = quantised(own) if likely else None
    none = np.full(len(own), -1, np.int16)
    if several:
        # Of numbers without bounds, those above 0 are more likely than not.
        return Said(name, none, own > (0.5 if likely else 0.0), known, probability)
    return Said(name, own.argmax(1).astype(np.int16), None, known, probability)


def _own_truth(found: Predictions) -> Truth | None:
    if found.label is None:
        return None
    rows = {video: found.rows(k) for k, video in enumerate(found.videos)}
    label = found.label if found.label.ndim == 1 else _decided(found.label)
    videos = {
        video: (found.frame[of] / found.fps_of(video), label[of]) for video, of in rows.items()
    }
    return Truth(found.source, found.fps, videos)


def _decided(label: np.ndarray) -> np.ndarray:
    """Labels [N, C] that may be shares of annotators, as 1, 0 and -1."""
    return np.where(label < 0, -1, label > 0.5).astype(np.int8)


def _of_labels(label: np.ndarray, several: bool, name: str) -> Said | None:
    """Labels [n] or [n, C] as what is true; None where none is known."""
    known = np.asarray(label >= 0 if label.ndim == 1 else (label >= 0).all(1))
    if not known.any():
        return None
    if several != (label.ndim == 2):
        held = "several labels" if several else "one label"
        raise UserError(f"{name}: the predictions are of {held} a moment, which these are not")
    if several:
        return Said(name, np.full(len(label), -1, np.int16), label > 0, known)
    return Said(name, label.astype(np.int16), None, known)


def _second(path: str, found: Predictions, several: bool) -> Predictions:
    """The predictions of a second model, its classes in the order of the first's."""
    other = _read(path)
    ours, theirs = _classes(found), _classes(other)
    if _several(other) != several:
        one, two = ("several labels", "one label")[:: 1 if several else -1]
        raise UserError(f"{path}: predicts {two} a moment, {found.source} {one}")
    if not same_names(ours, theirs):
        raise UserError(
            f"{path}: its classes are not those of {found.source}: {names_differ(ours, theirs)}"
        )
    assert other.score is not None
    order = column_order(theirs, ours, path)
    other = replace(other, score=other.score[:, order], label=None, classes=ours)
    return _of_same_videos(other, found)


def _of_same_videos(other: Predictions, found: Predictions) -> Predictions:
    if not set(found.videos) & set(other.videos):
        raise UserError(
            f"{other.source}: none of its videos ({other.videos[0]}, …) is one of {found.source} "
            f"({found.videos[0]}, …)"
        )
    return other


def _lane(further: _Further, video: str) -> Classes:
    """When each class that occurs in a video holds, the longest first."""
    other = further.found
    frame, said = further.said(video)
    operation = Operation(video, "", other.fps_of(video), frame, _classes(other), said)
    stretches = {}
    for k, name in enumerate(operation.classes):
        holds = said.label == k if said.held is None else said.held[:, k]
        where = segments(operation, np.where(holds, 0, -1))
        if where:
            stretches[name] = tuple((start, end) for start, end, _ in where)
    lasting = sorted(stretches, key=lambda name: -sum(b - a for a, b in stretches[name]))
    kept = lasting[:MOST_CLASSES]
    note = "" if kept == lasting else f"the {len(kept)} of {len(lasting)} classes that last longest"
    task = str((other.meta or {}).get("task") or said.name)
    return Classes(task, tuple(kept), tuple(stretches[name] for name in kept), note)


def _beside(operation: Operation, other: _Further) -> Said | None:
    """What a second model says at the moments of an operation; None where it is not of it."""
    if operation.video not in other.numbers:
        return None
    frame, said = other.said(operation.video)
    fps = other.found.fps_of(operation.video)
    at, known = matched(frame / fps, operation.seconds, 1 / fps)
    label = np.where(known, said.label[at], -1).astype(np.int16)
    held = None if said.held is None else said.held[at] & known[:, None]
    probability = None if said.probability is None else said.probability[at]
    return Said(said.name, label, held, known, probability)


def _reliability(operation: Operation, score: np.ndarray) -> tuple:
    truth = operation.truth
    if truth is None or truth.held is not None or operation.said.probability is None:
        return ()
    known = truth.known & (truth.label < len(operation.classes))
    if not known.any():
        return ()
    bins = reliability_bins(truth.label[known].astype(np.int64), score[known])
    return tuple(tuple(row) for row in bins.tolist())
