"""Frames at another rate: which frame of a video is frame k there."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Picture = TypeVar("Picture")

# Frame rates outside of this are errors in the header (0, not a number, a time base of 90,000).
LOWEST_RATE, HIGHEST_RATE = 0.1, 1000.0
# Headers round rates and times; an instant this near to a frame, in frames, is that frame's.
ROUNDING = 1e-3
# Pictures further apart than this, in frames, leave a hole between them, not a shifted grid.
HOLE = 1.5


def is_rate(fps: float) -> bool:
    """Whether a header's frame rate is plausible."""
    return math.isfinite(fps) and LOWEST_RATE <= fps < HIGHEST_RATE


def kept_index(k: int, keep_every: float) -> int:
    """Index of the first frame at or after frame k of the wanted rate."""
    return math.ceil(k * keep_every - ROUNDING)


@dataclass(frozen=True)
class Grid:
    """The instants of the wanted frames on the clock of a video, in seconds.

    Attributes:
        start: when frame 0 is wanted.
        fps: frames a second.
        tolerance: by how much a picture may be before an instant because times are rounded.
        grace: by how much the first picture of all may come after an instant.
    """

    start: float
    fps: float
    tolerance: float
    grace: float

    def instant(self, k: int) -> float:
        return self.start + k / self.fps

    @property
    def near(self) -> float:
        """By how much a picture may come after an instant whose frame it is."""
        return 0.5 / self.fps + self.tolerance

    def first_near(self, time: float) -> int:
        """The first frame whose picture is not one before the first picture of all, at `time`."""
        if time - self.start <= self.grace:
            return 0
        return math.ceil((time - self.near - self.start) * self.fps)


@dataclass(frozen=True)
class Pick(Generic[Picture]):
    """What frame `k` shows.

    Attributes:
        k: the frame.
        time: when its picture is shown; that of the first picture where there is none yet.
        picture: None before the first picture.
        gap: seconds from a picture that is shown because of a hole to the next one; else 0.
    """

    k: int
    time: float
    picture: Picture | None
    gap: float = 0.0


class Picker(Generic[Picture]):
    """Says of pictures that come one after the other what frames show.

    Frame k is the first picture at or after its instant, if it comes within half of 1 / fps; else
    there is a hole, and the last picture before it is shown.

    Attributes:
        next: the first frame that was not told yet.
    """

    def __init__(self, grid: Grid, first: int = 0):
        """Takes the instants, and the first wanted frame."""
        self.next = first
        self._grid = grid
        self._before: tuple[float, Picture] | None = None

    def take(self, time: float, picture: Picture) -> Iterator[Pick[Picture]]:
        """Yields the frames that are known by this picture; times ascend."""
        grid, before = self._grid, self._before
        while (late := time - grid.instant(self.next)) >= -grid.tolerance:
            k = self.next
            if late <= grid.near or (before is None and late <= grid.grace):
                yield Pick(k, time, picture)
            elif before is None:
                yield Pick(k, time, None)
            else:
                yield Pick(k, before[0], before[1], time - before[0])
            self.next += 1
        self._before = time, picture


def picked(
    pictures: Iterable[tuple[float, Picture]], grid: Grid, first: int = 0
) -> Iterator[Pick[Picture]]:
    """Yields what frames `first`, `first` + 1 and so on show, up to the last picture.

    Args:
        pictures: (time, picture) with ascending times; from the middle of a video on, the first one
            must not come after the instant of frame `first`.
        grid: the instants.
        first: the first wanted frame.
    """
    picker: Picker[Picture] = Picker(grid, first)
    for time, picture in pictures:
        yield from picker.take(time, picture)
