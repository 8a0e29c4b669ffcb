"""Calibration of a model's probabilities, as scores of a report."""

from typing import Any

import numpy as np

from surgvista_jax.metrics import calibration
from surgvista_jax.metrics import scores as make
from surgvista_jax.metrics.scores import Score
from surgvista_jax.predictions.frames import Predictions


def with_calibration(
    scores: list[Score], predictions: Predictions, rows: list[slice]
) -> tuple[list[Score], np.ndarray | None]:
    """Adds the scores of calibration, where the values are probabilities of single labels.

    Args:
        rows: of each video.

    Returns:
        All scores, and the sums [bins, 3] of the reliability diagram or None.
    """
    label, score = predictions.label, predictions.score
    if score is None or not calibration.are_probabilities(score):
        return scores, None
    assert label is not None  # reading sees to it
    bins = np.stack([calibration.reliability_bins(label[r], score[r]) for r in rows])
    brier = calibration.brier_sums(label, score)
    sums = np.array([[brier[r].sum(), r.stop - r.start] for r in rows])
    about: dict[str, Any] = {"section": "Calibration, frames pooled", "higher_is_better": False}
    return [
        *scores,
        make.of_sums(
            "ece", "Expected calibration error", bins, calibration.calibration_error, **about
        ),
        make.ratio(
            "brier", "Brier score (0-2)", *sums.T, percent=False, bounds=(0.0, 2.0), **about
        ),
    ], bins.sum(0)
