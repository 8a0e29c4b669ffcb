"""Average precision of a ranking, once and for thousands of resamples of its videos.

AP = sum over thresholds of (recall step x precision), without interpolation, tied scores sharing
one threshold: scikit-learn's definition. A class without a positive has no ranking to judge: NaN.
"""

from collections.abc import Iterator

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.averaging import divide, nanmean

ABSENT_RULES = ("drop", "zero")  # a class without a positive is left out, or counts as 0

_CELLS = 1 << 22  # of a block of [thresholds, resamples]: 32 MiB of float64


def average_precisions(truth: np.ndarray, score: np.ndarray) -> np.ndarray:
    """AP of each column: truth [N, C] (0 or 1), score [N, C] -> [C]; NaN without positives."""
    truth, score = np.asarray(truth), np.asarray(score)
    return np.array([_one(truth[:, k] != 0, score[:, k]) for k in range(score.shape[1])])


def _one(truth: np.ndarray, score: np.ndarray) -> float:
    """Counts frames and positives at or above the score of each positive."""
    hits = np.sort(score[truth])
    if not len(hits):
        return float("nan")
    frames = len(score) - np.searchsorted(np.sort(score), hits, side="left")
    positives = len(hits) - np.searchsorted(hits, hits, side="left")
    return float((positives / frames).mean())


def with_absent(values: np.ndarray, absent: str) -> np.ndarray:
    """AP values of any shape, NaN for a class without a positive, by one of ABSENT_RULES."""
    if absent not in ABSENT_RULES:
        raise UserError(f"absent={absent!r}; choose {', '.join(ABSENT_RULES)}")
    return np.nan_to_num(values) if absent == "zero" else values


def mean_over_classes(values: np.ndarray, absent: str) -> np.ndarray:
    """Mean AP, [..., C] -> [...]; `absent` is one of ABSENT_RULES."""
    return nanmean(with_absent(values, absent), axis=-1)


def resampled_average_precision(
    truth: np.ndarray, score: np.ndarray, video: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Pooled AP of one class when video v counts weights[b, v] times: -> [B].

    Exact, and without sorting again for each resample: at the score of each positive it counts, per
    video, the frames and the positives at or above it; both counts are linear in the weights.

    Args:
        truth, score: [N], of all videos together.
        video: int [N], the index into the weights' columns.
        weights: [B, V] non-negative.
    """
    truth = np.asarray(truth) != 0
    thresholds = np.unique(np.asarray(score)[truth])
    if not len(thresholds):
        return np.full(len(weights), np.nan)
    at_or_above: list[np.ndarray] = []
    hits_at_or_above: list[np.ndarray] = []
    for rows in _rows_of_videos(video, weights.shape[1]):
        for counts, values in (
            (at_or_above, score[rows]),
            (hits_at_or_above, score[rows][truth[rows]]),
        ):
            values = np.sort(values)
            counts.append(len(values) - np.searchsorted(values, thresholds, side="left"))
    frames = np.stack(at_or_above, axis=1)  # [J, V]
    positives = np.stack(hits_at_or_above, axis=1)  # [J, V]
    columns = np.ascontiguousarray(np.asarray(weights, np.float64).T)  # [V, B]
    total = positives[0] @ columns
    area = np.zeros(len(weights))
    block = max(1, _CELLS // max(1, len(weights)))
    for start in range(0, len(thresholds), block):
        # One threshold more than the block sums: the step down to it is a recall step.
        here = slice(start, start + block)
        found = positives[start : start + block + 1] @ columns
        if start + block >= len(thresholds):
            found = np.concatenate([found, np.zeros((1, len(weights)))])
        ranked = np.maximum(frames[here] @ columns, 1e-300)
        area += ((found[:-1] - found[1:]) * (found[:-1] / ranked)).sum(0)
    return divide(area, total)


def _rows_of_videos(video: np.ndarray, num_videos: int) -> Iterator[np.ndarray]:
    order = np.argsort(video, kind="stable")
    borders = np.searchsorted(np.asarray(video)[order], np.arange(num_videos + 1))
    for start, end in zip(borders[:-1], borders[1:], strict=True):
        yield order[start:end]
