"""What the page of a video shows: plain data, without files and without a browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from surgvista_jax.predictions.times import ends
from surgvista_jax.viewer.lanes import Lane

MOST_CERTAIN = 255  # the byte of probability 1


@dataclass(frozen=True, eq=False)
class Said:
    """What a model says of n moments, or what is true of them.

    Attributes:
        name: of the model; of truth, where it is from.
        label: int16 [n], a class, or -1 where there is none; all -1 where several may hold.
        held: bool [n, C], which classes hold, where several may; else None.
        known: bool [n], whether anything is said of a moment.
        probability: uint8 [n, C] of 1/255 (`quantised`); None where only labels are known.
    """

    name: str
    label: np.ndarray
    held: np.ndarray | None
    known: np.ndarray
    probability: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Operation:
    """One video and what is said of it.

    Attributes:
        video: its id.
        task: as in `facts.tasks`, or "".
        fps: of `frame`: frame / fps = seconds.
        frame: int64 [n], ascending.
        classes: C names.
        said: by the model.
        truth: None where it is not known of any moment.
        other: by a second model, of the same classes.
        reliability: [[moments, sum of confidence, right], ...] by confidence, where truth is given.
        lanes: more to be seen below the ribbon.
        notes: lines for whoever asks for details.
        damage: lines on what of the video could not be read.
    """

    video: str
    task: str
    fps: float
    frame: np.ndarray
    classes: tuple[str, ...]
    said: Said
    truth: Said | None = None
    other: Said | None = None
    reliability: tuple[tuple[float, float, float], ...] = ()
    lanes: tuple[Lane, ...] = ()
    notes: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def seconds(self) -> np.ndarray:
        """When each moment is, float64 [n]."""
        return self.frame / self.fps

    @property
    def ends(self) -> np.ndarray:
        """Until when each moment counts, seconds, float64 [n]: the next, unless there is a gap."""
        return ends(self.frame) / self.fps

    @property
    def duration(self) -> float:
        return float(self.ends[-1])


class Segment(NamedTuple):
    """A stretch, in seconds, in which one class holds."""

    start: float
    end: float
    label: int


def quantised(probability: np.ndarray) -> np.ndarray:
    """Probabilities as bytes of 1/255, any shape; above one half exactly where the float was."""
    bytes_ = np.ceil(np.asarray(probability, np.float64) * MOST_CERTAIN - 0.5)
    return bytes_.clip(0, MOST_CERTAIN).astype(np.uint8)


def runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Stretches of equal values of [n]: (value, first, how many)."""
    if not len(values):
        return []
    first = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    count = np.diff(np.r_[first, len(values)])
    return list(zip(values[first].tolist(), first.tolist(), count.tolist(), strict=True))


def segments(operation: Operation, label: np.ndarray) -> list[Segment]:
    """Where each class holds, by time; a gap in the moments ends a segment.

    Args:
        label: int [n], -1 where there is none.
    """
    seconds, ends = operation.seconds, operation.ends
    apart = np.cumsum(np.r_[False, seconds[1:] > ends[:-1] + 1e-9])
    found = []
    for key, first, count in runs(label.astype(np.int64) + (len(operation.classes) + 1) * apart):
        value = key - (len(operation.classes) + 1) * int(apart[first])
        if value >= 0:
            found.append(Segment(float(seconds[first]), float(ends[first + count - 1]), value))
    return found


def time_of_each(operation: Operation, said: Said) -> list[float]:
    """Seconds for which each class holds, C of them."""
    lasts = operation.ends - operation.seconds
    if said.held is not None:
        return (said.held * lasts[:, None]).sum(0).tolist()
    known = said.label >= 0
    classes = len(operation.classes)
    return np.bincount(said.label[known], weights=lasts[known], minlength=classes).tolist()


def names_differ(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Which names two lists of classes do not share, for a message."""
    lacking = [name for name in theirs if name not in ours]
    further = [name for name in ours if name not in theirs]
    parts = [
        f"{words} {', '.join(map(repr, names[:4]))}{', …' if len(names) > 4 else ''}"
        for words, names in (("it has", lacking), ("it lacks", further))
        if names
    ]
    return " and ".join(parts)
