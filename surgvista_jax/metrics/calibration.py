"""Calibration of probabilities: expected calibration error, Brier score.

For single-label tasks. Everything is a sum over frames, so videos add up: the sums of each video
give the pooled number, any group's and any resample's.
"""

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.averaging import divide
from surgvista_jax.metrics.classification import check_single

NUM_BINS = 15


def are_probabilities(score: np.ndarray) -> bool:
    """Whether every row is a distribution: values in 0..1 that sum to 1 (within 1e-3)."""
    score = np.asarray(score)
    inside = score.min() >= -1e-6 and score.max() <= 1 + 1e-6
    return bool(inside and np.abs(score.sum(1) - 1).max() <= 1e-3)


def check_probabilities(score: np.ndarray) -> None:
    if not are_probabilities(score):
        raise UserError("scores: rows are not probabilities (0..1, sum 1); apply softmax first")


def reliability_bins(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Sums [NUM_BINS, 3]: frames, their confidence, how many are right; by confidence.

    Confidence is the highest probability; bins have equal width and include their upper edge.
    """
    label, score = check_single(label, score)
    check_probabilities(score)
    confidence = score.max(1)
    index = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    right = score.argmax(1) == label
    return np.stack(
        [
            np.bincount(index, weights=values, minlength=NUM_BINS)
            for values in (np.ones(len(label)), confidence, right.astype(np.float64))
        ],
        axis=1,
    )


def calibration_error(bins: np.ndarray) -> np.ndarray:
    """Expected calibration error from sums [..., NUM_BINS, 3]: mean |accuracy - confidence|."""
    frames, confidence, right = np.moveaxis(bins, -1, 0)
    return divide(np.abs(right - confidence).sum(-1), frames.sum(-1))


def brier_sums(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Per row: sum over classes of (probability - truth)^2, [N]; its mean is the Brier score.

    This is Brier's own multi-class form, 0 (sure and right) to 2 (sure and wrong).
    """
    label, score = check_single(label, score)
    check_probabilities(score)
    chosen = score[np.arange(len(label)), label]
    return (score**2).sum(1) - 2 * chosen + 1
