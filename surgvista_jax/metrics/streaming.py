"""Frames collected in a training loop, for the same scores as an evaluation afterwards.

Batches arrive padded (weight 0), in any order, and with frames seen twice where a split did not
divide evenly. `FrameBuffer` keeps what is needed for every score and merges repeats.
"""

from dataclasses import dataclass

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.sampling import check_scores


@dataclass(frozen=True)
class Frames:
    """Frames of an evaluation, sorted by (video, frame), each once."""

    video_index: np.ndarray  # int [N]
    frame: np.ndarray  # int [N]
    score: np.ndarray  # float64 [N, C]
    label: np.ndarray  # [N] or [N, C]
    repeats: int  # rows merged away

    def videos(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(label, score) of each video that occurs, in ascending order of video_index."""
        borders = np.flatnonzero(np.diff(self.video_index)) + 1
        return list(zip(np.split(self.label, borders), np.split(self.score, borders), strict=True))


def merge_repeats(
    video_index: np.ndarray, frame: np.ndarray, score: np.ndarray, label: np.ndarray
) -> Frames:
    """Sorts rows by (video, frame) and averages the scores of rows that are the same frame.

    Repeats come from padding an uneven split and from several views of a clip; averaging
    probabilities is what the field does with both. Labels of repeats must agree.
    """
    order = np.lexsort((frame, video_index))
    video_index, frame, label = video_index[order], frame[order], label[order]
    score = np.asarray(score, np.float64)[order]
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(video_index) != 0) | (np.diff(frame) != 0)
    if first.all():
        return Frames(video_index, frame, score, label, 0)
    group = np.cumsum(first) - 1
    differs = label != label[first][group]
    if differs.any():
        row = int(np.argwhere(differs)[0][0])
        raise UserError(
            f"video {video_index[row]}, frame {frame[row]}: the frame occurs more than once with "
            "different labels; repeats must agree"
        )
    mean = np.add.reduceat(score, np.flatnonzero(first)) / np.bincount(group)[:, None]
    return Frames(
        video_index[first], frame[first], mean, label[first], int(len(order) - first.sum())
    )


class FrameBuffer:
    """Collects batches of scores and gives back each frame once."""

    def __init__(self) -> None:
        self._rows: list[tuple] = []

    def update(
        self,
        score: np.ndarray,
        label: np.ndarray,
        video_index: np.ndarray,
        frame: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> None:
        """Adds a batch: score [B, C], the rest [B] (label also [B, C]); weight 0 is padding."""
        rows = tuple(np.asarray(part) for part in (video_index, frame, score, label))
        keep = np.ones(len(rows[0]), bool) if weight is None else np.asarray(weight) > 0
        self._rows.append(tuple(part[keep] for part in rows))

    def merge(self, other: "FrameBuffer") -> None:
        """Adds the rows of another process."""
        self._rows.extend(other._rows)

    def result(self) -> Frames:
        if not self._rows:
            raise UserError("no frames were collected; an evaluation needs at least one")
        video_index, frame, score, label = (
            np.concatenate(part) for part in zip(*self._rows, strict=True)
        )
        return merge_repeats(video_index, frame, check_scores(score, "collected scores"), label)
