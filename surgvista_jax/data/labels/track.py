"""What a video shows at a given moment, by its label file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.rates import ROUNDING

# A class id, or a tuple of class ids for label kind "multi", or UNLABELLED.
Label = int | tuple[int, ...]


@dataclass(frozen=True)
class FrameLabels:
    """Labels of single frames.

    Attributes:
        by_number: number of a frame, counted from 0 at the start of the video -> its label.
        fps: numbers a second.
        notes: what was normalised on reading.
        every: only each so-many-th frame was labelled; a moment has the label of the nearest one.
    """

    by_number: Mapping[int, Label]
    fps: float
    notes: tuple[str, ...] = ()
    every: int = 1

    @property
    def seconds(self) -> float:
        """Length of the part of the video that ends with the last label."""
        return (max(self.by_number, default=-self.every) + self.every) / self.fps

    def of(self, numbers: Sequence[int]) -> tuple[Label, ...]:
        """Labels of the frames with these numbers."""
        return tuple(self.by_number.get(int(number), UNLABELLED) for number in numbers)

    def at(self, seconds: np.ndarray) -> tuple[Label, ...]:
        """Labels at these moments: of the first frame at or after each, as frames are kept."""
        numbers = np.ceil(np.asarray(seconds) * self.fps - ROUNDING).astype(int)
        return self.of(((numbers + self.every // 2) // self.every * self.every).tolist())


@dataclass(frozen=True)
class Interval:
    """A stretch of a video, seconds from its start: `start` belongs to it, `end` does not."""

    start: float
    end: float
    label: int


@dataclass(frozen=True)
class IntervalLabels:
    """Labels of stretches of a video.

    Attributes:
        intervals: in any order.  Where several overlap, the one that starts last counts, the
            shorter of two that start together; with `multi`, all of them do.
        multi: labels are tuples of the classes that are on, empty where none is.
        notes: what was normalised on reading.
    """

    intervals: tuple[Interval, ...]
    multi: bool = False
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return max((interval.end for interval in self.intervals), default=0.0)

    def at(self, seconds: np.ndarray) -> tuple[Label, ...]:
        """Labels at these moments, ascending."""
        seconds = np.asarray(seconds, float)
        on: list[list[int]] = [[] for _ in seconds]
        # The last of several is that which counts.
        for interval in sorted(self.intervals, key=lambda i: (i.start, -i.end)):
            first, last = np.searchsorted(seconds, (interval.start, interval.end))
            for k in range(first, last):
                on[k].append(interval.label)
        if self.multi:
            return tuple(tuple(sorted(set(ids))) for ids in on)
        return tuple(ids[-1] if ids else UNLABELLED for ids in on)


def whole_video(label: int) -> IntervalLabels:
    """One label for all of a video, however long it is."""
    return IntervalLabels((Interval(0.0, math.inf, label),))


def overlap_notes(intervals: Sequence[Interval]) -> tuple[str, ...]:
    """Says how long intervals overlap and what gaps they leave between them."""
    overlap = gap = 0.0
    end = None
    for interval in sorted(intervals, key=lambda i: (i.start, -i.end)):
        if end is not None:
            overlap += max(0.0, min(end, interval.end) - interval.start)
            gap += max(0.0, interval.start - end)
        end = interval.end if end is None else max(end, interval.end)
    notes = []
    if overlap > ROUNDING:
        notes.append(
            f"intervals overlap for {overlap:.1f} s; there the one that starts later counts"
        )
    if gap > ROUNDING:
        notes.append(f"intervals leave {gap:.1f} s between them, which stay unlabelled")
    return tuple(notes)


def length_notes(track_seconds: float, video_seconds: float, fps: float) -> list[str]:
    """Says where labels and video differ in length by more than a frame of the dataset."""
    difference = track_seconds - video_seconds
    if math.isinf(track_seconds) or not track_seconds or abs(difference) <= 1.0 / fps + ROUNDING:
        return []
    ratio = track_seconds / video_seconds
    if not 0.5 < ratio < 2.0:
        text = f"labels last {ratio:.3g} times as long as the video"
        if math.isclose(ratio, round(ratio), rel_tol=0.02) or ratio > 20:
            text += "; is each of them for a frame, not for a second?"
        return [text]
    if difference > 0:
        return [f"labels go on for {difference:.1f} s after the last frame and are dropped there"]
    return [f"the last {-difference:.1f} s have no label"]
