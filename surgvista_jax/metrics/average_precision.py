"""What is the average precision of a ranking, once and for thousands of resamples of its videos?

AP = sum over thresholds of (recall step x precision), without interpolation, tied scores sharing
one threshold: scikit-learn's definition. A class without a positive has no ranking to judge: NaN.
"""

from collections.abc import Iterator

import numpy as np

from surgvista_jax.metrics.averaging import divide

_CELLS = 1 << 22  # of a block of [thresholds, resamples]: 32 MiB of float64


def average_precisions(truth: np.ndarray, score: np.ndarray) -> np.ndarray:
    """AP of each column: truth [N, C] (0 or 1), score [N, C] -> [C]; NaN without positives."""
    truth, score = np.asarray(truth), np.asarray(score)
    if not len(score):
        return np.full(score.shape[1], np.nan)
    order = np.argsort(-score, axis=0, kind="stable")
    ranked = np.take_along_axis(score, order, axis=0)
    positive = np.take_along_axis(truth != 0, order, axis=0)
    # Rank of the last frame that shares a frame's score: precision is taken there.
    rank = np.arange(1, len(score) + 1)[:, None]
    closes = np.ones(score.shape, bool)
    closes[:-1] = ranked[:-1] != ranked[1:]
    last = np.where(closes, rank, len(score) + 1)[::-1]
    last = np.minimum.accumulate(last, axis=0)[::-1]
    found = np.cumsum(positive, axis=0)
    precision = np.take_along_axis(found, last - 1, axis=0) / last
    return divide((precision * positive).sum(0), found[-1])


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """AP of one class: truth [N] (0 or 1), score [N]."""
    return float(average_precisions(np.asarray(truth)[:, None], np.asarray(score)[:, None])[0])


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
    frames, positives = [], []
    for rows in _rows_of_videos(video, weights.shape[1]):
        for counts, values in ((frames, score[rows]), (positives, score[rows][truth[rows]])):
            values = np.sort(values)
            counts.append(len(values) - np.searchsorted(values, thresholds, side="left"))
    frames, positives = np.stack(frames, axis=1), np.stack(positives, axis=1)  # [J, V]
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
