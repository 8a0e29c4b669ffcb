"""Predictions made steadier over the time of a video: a running median, or the best path.

Viterbi's best path takes the model's probability of a class for how well what is seen fits the
class, and multiplies it by the probabilities of transitions. What is said of a class at a moment is
then the probability of the best path that has the class there, as a share of those of all classes:
the class with the largest is the one on the best path of all. A causal form says of a moment what
the other form would say if the video ended there, so that it can run along with the video.
"""

import dataclasses
from collections import deque
from typing import Any, Protocol

import numpy as np

from surgvista_jax.checks import check_one_of, check_whole
from surgvista_jax.predictions.transitions import Transitions

KINDS = ("median", "viterbi")
# A model that is certain may err: no class is impossible at a frame.
_LEAST = 1e-12


class Follower(Protocol):
    """A causal form on one video: called with each of its predictions, in their order."""

    def __call__(self, frame: int, scores: np.ndarray) -> np.ndarray:
        """The smoothed probabilities float32 [C] of a frame, whose number ascends."""


@dataclasses.dataclass(frozen=True, eq=False)
class Smoothing:
    """How the probabilities of a video's frames are smoothed.

    Attributes:
        kind: "median", of each class over a window, or "viterbi".
        causal: a frame sees itself and frames before it; otherwise those on either side too.
        window: frames of the median; with the frame in their middle, or at their end where causal.
        several: whether several classes may hold at once; otherwise probabilities sum to 1.
        transitions: of Viterbi.
    """

    kind: str
    causal: bool = False
    window: int = 1
    several: bool = False
    transitions: Transitions | None = None

    def __post_init__(self) -> None:
        check_one_of(self, KINDS, "kind")
        check_whole(self, 1, "window")
        if self.kind == "viterbi" and (self.several or self.transitions is None):
            raise ValueError("kind='viterbi': should have transitions, of classes that exclude")

    def of_video(self, frame: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Smooths one video.

        Args:
            frame: int [N], numbers of its frames, ascending; they may leave some out.
            scores: float [N, C], probabilities.

        Returns:
            float32 [N, C].
        """
        if self.causal:
            follow = self.follower()
            rows = [follow(int(at), row) for at, row in zip(frame, scores, strict=True)]
            return np.array(rows, np.float32).reshape(scores.shape)
        if self.transitions is not None:
            return _best_paths(self.transitions, frame, scores)
        reach = self.window // 2
        first = np.searchsorted(frame, frame - reach)
        after = np.searchsorted(frame, frame + (self.window - 1 - reach), side="right")
        rows = [self._middle(scores[a:b]) for a, b in zip(first, after, strict=True)]
        return np.array(rows, np.float32).reshape(scores.shape)

    def of_videos(
        self, video_index: np.ndarray, frame: np.ndarray, scores: np.ndarray
    ) -> np.ndarray:
        """Smooths each video by itself: int [N], int [N], float [N, C] -> float32 [N, C]."""
        smoothed = np.array(scores, np.float32)
        for number in np.unique(video_index):
            own = video_index == number
            smoothed[own] = self.of_video(frame[own], scores[own])
        return smoothed

    def follower(self) -> Follower:
        """The causal form at the beginning of a video."""
        if self.transitions is not None:
            return _PathFollower(self.transitions)
        return _MedianFollower(self)

    def _middle(self, rows: np.ndarray) -> np.ndarray:
        """The median of each class over rows [n, C], float32 [C]."""
        middle = np.median(np.asarray(rows, np.float64), axis=0)
        if not self.several:
            if not middle.sum():  # of many classes, each in less than half of the frames
                middle = np.mean(rows, axis=0, dtype=np.float64)
            middle = middle / max(middle.sum(), _LEAST)
        return middle.astype(np.float32)


class _MedianFollower:
    def __init__(self, smoothing: Smoothing):
        self._smoothing = smoothing
        self._rows: deque[tuple[int, np.ndarray]] = deque()

    def __call__(self, frame: int, scores: np.ndarray) -> np.ndarray:
        self._rows.append((frame, np.array(scores)))
        while self._rows[0][0] <= frame - self._smoothing.window:
            self._rows.popleft()
        return self._smoothing._middle(np.array([row for _, row in self._rows]))


class _PathFollower:
    """`_ends` of a video that goes on."""

    def __init__(self, transitions: Transitions):
        self._steps = _Steps(transitions)
        self._last: tuple[int, np.ndarray] | None = None

    def __call__(self, frame: int, scores: np.ndarray) -> np.ndarray:
        before = self._last
        if before is None:
            ends = self._steps.first
        else:
            ends = (before[1][:, None] + self._steps[frame - before[0]]).max(0)
        ends = ends + _logarithm(scores)
        self._last = frame, ends - ends.max()
        return _shares(ends)


class _Steps:
    """Logarithms of transitions over a number of frames."""

    def __init__(self, transitions: Transitions):
        self.first = np.log(transitions.first())
        self._transitions = transitions
        self._known: dict[int, np.ndarray] = {}

    def __getitem__(self, frames: int) -> np.ndarray:
        if frames not in self._known:
            self._known[frames] = np.log(self._transitions.after(frames))
        return self._known[frames]


def _best_paths(transitions: Transitions, frame: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """For each frame and class the best path through it: up to the frame, and on from it."""
    steps, seen = _Steps(transitions), _logarithm(scores)
    gaps = np.diff(frame)
    ends, begins = np.zeros_like(seen), np.zeros_like(seen)
    for at in range(len(seen)):
        if at == 0:
            ends[at] = steps.first
        else:
            ends[at] = (ends[at - 1][:, None] + steps[int(gaps[at - 1])]).max(0)
        ends[at] += seen[at]
        ends[at] -= ends[at].max()
    for at in reversed(range(len(seen) - 1)):
        begins[at] = (steps[int(gaps[at])] + (seen[at + 1] + begins[at + 1])[None]).max(1)
        begins[at] -= begins[at].max()
    return _shares(ends + begins)


def _logarithm(scores: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(scores, np.float64), _LEAST))


def _shares(logarithms: np.ndarray) -> np.ndarray:
    values = np.exp(logarithms - logarithms.max(-1, keepdims=True))
    return (values / values.sum(-1, keepdims=True)).astype(np.float32)


def told(smoothing: Smoothing | None, fps: float) -> dict[str, Any]:
    """What the meta of predictions says of their smoothing."""
    if smoothing is None:
        return {"smoothing": None}
    about: dict[str, Any] = {"kind": smoothing.kind, "causal": smoothing.causal}
    if smoothing.transitions is not None:
        about["transitions"] = smoothing.transitions.source
    else:
        about["window_seconds"] = smoothing.window / fps
    return {"smoothing": about}
