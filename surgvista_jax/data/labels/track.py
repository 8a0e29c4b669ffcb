"""What a video shows at a given moment, by its label file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.rates import ROUNDING

# A class id, or a tuple of class ids for label kind "multi", or UNLABELLED.
Label = int | tuple[int, ...]
# Labels that last so many times as long as the video, or so small a part of it where each frame
# should have one, are at another rate than assumed.
TOO_LONG, TOO_SHORT = 2.0, 0.2
MANY = 10
# A part of a video's length by which its labels and its frames may differ.
SAME_LENGTH = 0.02


@dataclass(frozen=True)
class FrameLabels:
    """Labels of single frames.

    Attributes:
        by_number: number of a frame, counted from 0 at the start of the video -> its label.
        fps: numbers a second.
        notes: what was normalised on reading.
        every: only each so-many-th frame was labelled; a moment has the label of the nearest one.
        may_be_seconds: copies of such files with one line a second, numbered by seconds, are in
            use: the length of the video tells which it is.
        holds: with `every`, a moment has the label of the last one before it instead.
    """

    by_number: Mapping[int, Label]
    fps: float
    notes: tuple[str, ...] = ()
    every: int = 1
    may_be_seconds: bool = False
    holds: bool = False

    @property
    def seconds(self) -> float:
        """Length of the part of the video that ends with the last label."""
        return (max(self.by_number, default=-self.every) + self.every) / self.fps

    @property
    def has_no_gap(self) -> bool:
        """Whether many frames in a row are labelled, from the first one on, and no others."""
        count = len(self.by_number)
        return count >= MANY and set(self.by_number) == set(
            range(0, count * self.every, self.every)
        )

    def of(self, numbers: Sequence[int]) -> tuple[Label, ...]:
        """Labels of the frames with these numbers."""
        return tuple(self.by_number.get(int(number), UNLABELLED) for number in numbers)

    def at(self, seconds: np.ndarray) -> tuple[Label, ...]:
        """Labels at these moments, which ascend evenly.

        Where labels are as many as the moments, or more, the label of the first frame at or after
        each, as frames are kept. Where they are fewer, each holds until the next, and the last one
        as long as the others.
        """
        return self.of(self.numbers_at(seconds).tolist())

    def numbers_at(self, seconds: np.ndarray) -> np.ndarray:
        """The number whose label each moment has, int [n]."""
        exact = np.asarray(seconds) * self.fps
        fewer = len(exact) > 1 and exact[1] - exact[0] < 1 - ROUNDING
        if self.every == 1 and fewer:
            return np.floor(exact + ROUNDING).astype(int)
        numbers = np.ceil(exact - ROUNDING).astype(int)
        if self.every > 1 and self.holds:
            return numbers // self.every * self.every
        nearest = (numbers + self.every // 2) // self.every * self.every
        last = max(self.by_number, default=0)
        within = (nearest > last) & (exact < last + self.every - ROUNDING)
        return np.where(within, last, nearest)


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


Track = FrameLabels | IntervalLabels


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


def length_notes(
    track_seconds: float, video_seconds: float, fps: float, *, wrong_rate: bool = True
) -> list[str]:
    """Says where labels and video differ in length by more than a frame of the dataset.

    Args:
        wrong_rate: what `at_another_rate` says of them.
    """
    difference = track_seconds - video_seconds
    if math.isinf(track_seconds) or not track_seconds or abs(difference) <= 1.0 / fps + ROUNDING:
        return []
    ratio = track_seconds / video_seconds
    if not 0.5 < ratio < TOO_LONG:
        text = f"labels last {ratio:.3g} times as long as the video"
        if ratio <= TOO_SHORT:
            text += f" (1/{1 / ratio:.3g})"
        if ratio > 1 and (math.isclose(ratio, round(ratio), rel_tol=0.02) or ratio > 20):
            text += "; is each of them for a frame, not for a second?"
        elif ratio <= TOO_SHORT and wrong_rate:
            text += "; is each of them for a second, not for a frame?"
        return [text]
    if difference > 0:
        return [f"labels go on for {difference:.1f} s after the last frame and are dropped there"]
    return [f"the last {-difference:.1f} s have no label"]


def at_another_rate(track: Track, video_seconds: float, *, own: bool) -> bool:
    """Whether labels and video differ so much in length that the labels' rate must be wrong.

    Args:
        own: a user may have labelled a few moments only: too short are rows without a gap alone.
    """
    ratio = track.seconds / video_seconds
    if TOO_LONG <= ratio < math.inf:
        return True
    if own and not (isinstance(track, FrameLabels) and track.has_no_gap):
        return False
    return 0 < ratio <= TOO_SHORT


def as_seconds(track: FrameLabels, video_seconds: float) -> FrameLabels | None:
    """The labels with their numbers taken for seconds, where the video's length says so."""
    if not track.may_be_seconds:
        return None
    seconds = max(track.by_number, default=-1) + 1
    if seconds < 2 or abs(seconds - video_seconds) > max(2.0, SAME_LENGTH * video_seconds):
        return None
    step = round(track.fps)
    by_number = {number * step: label for number, label in track.by_number.items()}
    return replace(track, by_number=by_number, every=step, may_be_seconds=False)


def numbered_from_one(track: Track, video_seconds: float) -> str:
    """Says both numberings where labels fill a video but for being one too high; else "".

    Args:
        track: rows of a user, who may count from 1.
    """
    if not isinstance(track, FrameLabels) or track.every != 1 or len(track.by_number) < 2:
        return ""
    count, lowest = len(track.by_number), min(track.by_number)
    frames = round(video_seconds * track.fps)
    if lowest != 1 or max(track.by_number) != count or count != frames:
        return ""
    what = "seconds" if track.fps == 1 else f"frames (at {track.fps:g} a second)"
    return (
        f"its labels are of {what} 1 … {count}, the video's are 0 … {frames - 1}: each may be one "
        "too late; number them from 0, or leave the last one out if the first has no label"
    )


def intervals_beyond(track: Track, video_seconds: float) -> list[Interval]:
    """The intervals that begin when the video has ended, by their start."""
    if not isinstance(track, IntervalLabels):
        return []
    beyond = [i for i in track.intervals if i.start >= video_seconds - ROUNDING]
    return sorted(beyond, key=lambda interval: interval.start)


def lost_intervals(track: Track, moments: np.ndarray, video_seconds: float) -> list[Interval]:
    """The intervals, or runs of frames of one class, within a video that no moment falls into.

    Args:
        moments: of the kept frames, in seconds, ascending.
        video_seconds: what lies after it is not named.
    """
    if isinstance(track, IntervalLabels):
        found = [
            interval
            for interval in track.intervals
            if np.ptp(np.searchsorted(moments, (interval.start, interval.end))) == 0
        ]
    else:
        numbers = track.numbers_at(moments)
        found = [
            Interval(first / track.fps, end / track.fps, label)
            for first, end, label in _runs(track)
            if np.ptp(np.searchsorted(numbers, (first, end))) == 0
        ]
    within = [interval for interval in found if interval.start < video_seconds - ROUNDING]
    return sorted(within, key=lambda interval: interval.start)


def _runs(track: FrameLabels) -> list[tuple[int, int, int]]:
    """First number, number after the last, and class of frames in a row; none of several labels."""
    runs: list[tuple[int, int, int]] = []
    for number, label in sorted(track.by_number.items()):
        if isinstance(label, tuple):
            return []
        if runs and runs[-1][1:] == (number, label):
            runs[-1] = runs[-1][0], number + track.every, label
        elif label != UNLABELLED:
            runs.append((number, number + track.every, label))
    return runs
