"""Calibration of a model's probabilities, as scores of a report."""

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
    if predictions.score is None or not calibration.are_probabilities(predictions.score):
        return scores, None
    bins = np.stack(
        [calibration.reliability_bins(predictions.label[r], predictions.score[r]) for r in rows]
    )
    brier = calibration.brier_sums(predictions.label, predictions.score)
    sums = np.array([[brier[r].sum(), r.stop - r.start] for r in rows])
    about = {"section": "Calibration, frames pooled", "higher_is_better": False}
    return [
        *scores,
        make.of_sums(
            "ece", "Expected calibration error", bins, calibration.calibration_error, **about
        ),
        make.ratio("brier", "Brier score (0-2)", *sums.T, percent=False, **about),
    ], bins.sum(0)
