"""Averages of values of videos and classes: in which order, and with which spread.

Values are [V, C] (videos, classes) with NaN where a class is not to count in a video. Weights are
[B, V]: how often each video counts. A row of ones gives the plain score, the rows of a bootstrap
give its resamples, and a row of zeros and ones gives the score of a group of videos.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


def divide(numerator: ArrayLike, denominator: ArrayLike) -> np.ndarray:
    """numerator / denominator, NaN where the denominator is 0, without a warning."""
    numerator = np.asarray(numerator, dtype=np.float64)
    denominator = np.asarray(denominator, dtype=np.float64)
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    quotient = np.full(shape, np.nan)
    return np.divide(numerator, denominator, out=quotient, where=denominator != 0)


def nanmean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean without the NaN entries; NaN, and no warning, where nothing is left."""
    present = ~np.isnan(values)
    return divide(np.where(present, values, 0.0).sum(axis), present.sum(axis))


def nanstd(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Standard deviation of the entries that are not NaN, over N - 1; NaN below two entries."""
    present = ~np.isnan(values)
    centre = nanmean(values, axis)
    centre = centre if axis is None else np.expand_dims(centre, axis)
    squares = np.where(present, values - centre, 0.0) ** 2
    count = present.sum(axis)
    variance = divide(squares.sum(axis), np.maximum(count - 1, 0))
    return np.sqrt(variance)


def over_videos(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over the videos in which a value is defined: [V, C], [B, V] -> [B, C]."""
    present = ~np.isnan(values)
    return divide(weights @ np.where(present, values, 0.0), weights @ present.astype(np.float64))


def videos_then_classes(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each class's mean over videos, then the mean of these: [V, C], [B, V] -> [B]."""
    return nanmean(over_videos(values, weights), axis=1)


def classes_then_videos(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each video's mean over its classes, then the mean of these: [V, C], [B, V] -> [B]."""
    return over_videos(nanmean(values, axis=1)[:, None], weights)[:, 0]


def over_pairs(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over all pairs of video and class with a value: [V, C], [B, V] -> [B]."""
    present = ~np.isnan(values)
    return divide(weights @ np.where(present, values, 0.0).sum(1), weights @ present.sum(1))


@dataclass(frozen=True)
class Summary:
    """One measure over videos and classes: both orders of averaging, both spreads (over N - 1)."""

    per_class: np.ndarray  # [C] mean over videos
    per_video: np.ndarray  # [V] mean over classes
    videos_then_classes: float
    classes_then_videos: float
    std_over_classes: float  # of per_class
    std_over_videos: float  # of per_video


def summarise(values: np.ndarray) -> Summary:
    """Averages [V, C] values in both orders; NaN entries do not count."""
    per_class, per_video = nanmean(values, axis=0), nanmean(values, axis=1)
    return Summary(
        per_class=per_class,
        per_video=per_video,
        videos_then_classes=float(nanmean(per_class)),
        classes_then_videos=float(nanmean(per_video)),
        std_over_classes=float(nanstd(per_class)),
        std_over_videos=float(nanstd(per_video)),
    )
