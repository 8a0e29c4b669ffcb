"""Frames without a step, in which the steps around them are forgiven.

The evaluation of the CATARACTS challenge of 2020: where nothing is done, saying the step before or
after is no mistake, and idleness itself is not scored.
"""

import numpy as np

from surgvista_jax.metrics.segments import runs


def forgive_idle(truth: np.ndarray, prediction: np.ndarray, idle: int) -> np.ndarray:
    """The prediction [n], idle where the truth is and the prediction is the step next to it.

    Args:
        truth, prediction: int [n].
        idle: the class of frames without a step.
    """
    forgiven = np.array(prediction)
    label, start, end = runs(truth)
    for k in np.flatnonzero(label == idle):
        around = label[max(k - 1, 0) : k + 2]
        stretch = forgiven[start[k] : end[k]]  # a view: writing to it changes `forgiven`
        stretch[np.isin(stretch, around)] = idle
    return forgiven
