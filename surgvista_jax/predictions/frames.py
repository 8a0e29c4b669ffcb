"""Predictions in memory: each frame once, in order, at one rate, beside its truth."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.data.rates import is_rate
from surgvista_jax.errors import UserError
from surgvista_jax.metrics.sampling import rows_at_rate
from surgvista_jax.metrics.streaming import merge_repeats

# In the meta:
VIDEO_FPS = "video_fps"  # id -> rate, of videos whose own is nearly `fps`
DAMAGE = "damage"  # id -> lines on what of it could not be read, of videos with damage

_NAMED = 3  # videos in one line


@dataclass(frozen=True, eq=False)
class Predictions:
    """Rows sorted by (video, frame), each frame once.

    `score` is None where a file holds decisions only; `label` is None where the truth is unknown.
    """

    source: str  # the file or folder, as given
    videos: tuple[str, ...]
    video_index: np.ndarray  # int [N], ascending
    frame: np.ndarray  # int64 [N], at `fps`
    fps: float  # frame / fps = seconds; NaN for clips without a rate
    decision: np.ndarray | None  # int [N]; single-label tasks
    score: np.ndarray | None  # float [N, C]
    label: np.ndarray | None  # int [N], or [N, C] for several labels a frame
    classes: tuple[str, ...] = ()
    meta: dict | None = None
    notes: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()  # (path, SHA-256) of what was read, the truth too

    def rows(self, video: int) -> slice:
        """The rows of one video."""
        low, high = np.searchsorted(self.video_index, [video, video + 1])
        return slice(int(low), int(high))

    def fps_of(self, video: str) -> float:
        """Frames a second of one video: `fps`, unless it is known to be a little off."""
        rates = (self.meta or {}).get(VIDEO_FPS)
        rate = rates.get(video) if isinstance(rates, dict) else None
        return float(rate) if isinstance(rate, int | float) and is_rate(rate) else self.fps

    def damage_of(self, video: str) -> tuple[str, ...]:
        """What of a video could not be read when it was predicted, in words."""
        damage = (self.meta or {}).get(DAMAGE)
        lines = damage.get(video) if isinstance(damage, dict) else None
        return tuple(map(str, lines)) if isinstance(lines, list) else ()

    def damage_note(self) -> tuple[str, ...]:
        """A line on the videos of which not all could be read, for a report; () of none."""
        damage = {video: lines for video in self.videos if (lines := self.damage_of(video))}
        told = [f"{video} ({'; '.join(lines)})" for video, lines in damage.items()]
        if not told:
            return ()
        shown = ", ".join(told if len(told) <= _NAMED else (*told[:_NAMED], "…"))
        return (f"Not all of {counted(len(told), 'video')} could be read: {shown}",)

    def take(self, rows: np.ndarray, note: str = "") -> "Predictions":
        """Only these rows (ascending or a mask); videos that keep none disappear."""
        kept, index = np.unique(self.video_index[rows], return_inverse=True)
        if not len(kept):
            raise UserError(f"{self.source}: no labelled frame is left to evaluate")

        def part(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return replace(
            self,
            videos=tuple(self.videos[k] for k in kept),
            video_index=index,
            frame=self.frame[rows],
            decision=part(self.decision),
            score=part(self.score),
            label=part(self.label),
            notes=self.notes + ((note,) if note else ()),
        )


def natural_order(name: str) -> list:
    """Sort key in which video9 comes before video10."""
    parts = re.split(r"([0-9]+)", name)
    # By length and then by digits, since a number of thousands of digits cannot be made.
    return [
        (0, len(part.lstrip("0")), part.lstrip("0")) if at % 2 else (1, 0, part)
        for at, part in enumerate(parts)
    ]


def assemble(
    source: str,
    video: np.ndarray,
    frame: np.ndarray,
    fps: float,
    *,
    score: np.ndarray | None = None,
    decision: np.ndarray | None = None,
    label: np.ndarray | None = None,
    classes: Sequence[str] = (),
) -> Predictions:
    """Sorts rows and merges repeats; arrays [N] in any order, `video` of names.

    Repeats of a frame have their scores averaged and must agree in label and decision.
    """
    lengths = {
        name: len(values)
        for name, values in (
            ("video", video),
            ("frame", frame),
            ("score", score),
            ("prediction", decision),
            ("label", label),
        )
        if values is not None
    }
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {number}" for name, number in lengths.items())
        raise UserError(f"{source}: columns differ in length ({listed}); one row a frame each")
    if not len(video):
        raise UserError(f"{source}: no frames; an evaluation needs at least one")
    if np.min(frame) < 0:
        raise UserError(f"{source}: frame {np.min(frame)}; frame numbers start at 0")
    names, inverse = np.unique(np.asarray(video).astype(str), return_inverse=True)
    order = sorted(range(len(names)), key=lambda k: natural_order(str(names[k])))
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    index = rank[inverse.ravel()]
    # What must agree among repeats travels as "label", what is averaged as "score".
    size = len(index)
    agreeing = [
        np.asarray(values).reshape(size, -1) for values in (label, decision) if values is not None
    ]
    exact = np.concatenate([np.zeros((size, 0), np.int64), *agreeing], axis=1)
    try:
        rows = merge_repeats(
            index, np.asarray(frame), np.zeros((size, 0)) if score is None else score, exact
        )
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    width = 0 if label is None else exact.shape[1] - (decision is not None)
    truth = None
    if label is not None:
        truth = rows.label[:, :width] if np.ndim(label) == 2 else rows.label[:, 0]
        truth = truth.astype(np.asarray(label).dtype)
    notes: tuple[str, ...] = ()
    if rows.repeats:
        notes = (
            f"{source}: {counted(rows.repeats, 'repeated frame was', 'repeated frames were')}"
            " merged, their scores averaged",
        )
    return Predictions(
        source=source,
        videos=tuple(str(names[k]) for k in order),
        video_index=rows.video_index,
        frame=rows.frame.astype(np.int64),
        fps=fps,
        decision=None if decision is None else rows.label[:, -1].astype(np.int64),
        score=None if score is None else rows.score,
        label=truth,
        classes=tuple(classes),
        notes=notes,
    )


def at_rate(predictions: Predictions, rate: float | None) -> Predictions:
    """Keeps `rate` frames a second (None: all), after holding the time stamps against fps."""
    if rate is None:
        return predictions
    chosen = []
    for number, video in enumerate(predictions.videos):
        rows = predictions.rows(number)
        where = f"{predictions.source}: {video}"
        of_video = rows_at_rate(predictions.frame[rows], predictions.fps, rate, where)
        chosen.append(of_video + rows.start)
    kept = np.concatenate(chosen)
    if len(kept) == len(predictions.frame):
        return predictions
    note = (
        f"{predictions.source}: {len(kept)} of {len(predictions.frame)} frames were kept, "
        f"{rate:g} a second"
    )
    return predictions.take(kept, note)


def join(parts: Sequence[Predictions]) -> Predictions:
    """Folds over disjoint videos as one set of predictions."""
    first = parts[0]
    if len(parts) == 1:
        return first
    for name in ("decision", "score", "label"):
        if len({getattr(part, name) is None for part in parts}) > 1:
            raise UserError(
                f"{', '.join(p.source for p in parts)}: some hold {name}s and some do not; files "
                "of one run must hold the same"
            )

    def together(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    rates = {part.fps for part in parts if not np.isnan(part.fps)}
    if len(rates) > 1 or len({part.classes for part in parts}) > 1:
        raise UserError(
            f"{', '.join(p.source for p in parts)}: they differ in fps or classes; files of one "
            "run must agree"
        )
    whole = assemble(
        " + ".join(part.source for part in parts),
        np.concatenate([np.array(part.videos)[part.video_index] for part in parts]),
        np.concatenate([part.frame for part in parts]),
        first.fps,
        score=together("score"),
        decision=together("decision"),
        label=together("label"),
        classes=first.classes,
    )
    return replace(
        whole,
        meta=first.meta,
        notes=tuple(note for part in parts for note in part.notes),
        files=tuple(dict.fromkeys(file for part in parts for file in part.files)),
    )
