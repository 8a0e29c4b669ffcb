"""Scores of phases, frame by frame, without relaxed boundaries.

All follows from each video's confusion matrix [C, C] (rows truth, columns prediction). Values are
fractions (0..1) and NaN where a phase is not to count in a video. What happens to a phase that a
video lacks is the choice that moves these scores most, so it has no default:

* "union": a phase counts where truth or prediction holds it; 0/0 becomes 0. A phase predicted for
  a single frame of a video that lacks it adds a 0 (scikit-learn with `labels=None` does this).
* "gt_only": a phase counts where the truth holds it (the MATLAB script of the field); false alarms
  of an absent phase cost accuracy only. The precision of a phase never predicted is undefined.
* "drop_undefined": only 0/0 is left out. A phase absent from the truth and predicted has precision,
  Jaccard and F1 of 0, but no recall.
* "absent_is_one": as the last, but a phase that neither holds has precision, Jaccard and F1 of 1.

I. Funke, D. Rivoir and S. Speidel (Metrics Matter in Surgical Phase Recognition, arXiv:2305.13961,
2023; their program PhaseMetrics) call three of them A, B and C: see FUNKE.
"""

from collections.abc import Sequence

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.averaging import divide
from surgvista_jax.metrics.sampling import check_labels

ABSENT_POLICIES = ("union", "gt_only", "drop_undefined", "absent_is_one")
FUNKE = {"A": "drop_undefined", "B": "gt_only", "C": "absent_is_one"}
MEASURES = ("precision", "recall", "jaccard", "f1")


def confusion_matrix(
    truth: np.ndarray, prediction: np.ndarray, num_classes: int, where: str = "video"
) -> np.ndarray:
    """Counts int64 [C, C]: row = true class, column = predicted class."""
    truth, prediction = check_labels(truth, prediction, num_classes, where)
    cells = np.bincount(truth * num_classes + prediction, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def confusion_matrices(
    videos: Sequence[tuple[np.ndarray, np.ndarray]], num_classes: int
) -> np.ndarray:
    """One matrix a video, int64 [V, C, C], of (truth, prediction) pairs."""
    if not len(videos):
        raise UserError("no videos; an evaluation needs at least one")
    return np.stack(
        [
            confusion_matrix(truth, prediction, num_classes, f"video {index}")
            for index, (truth, prediction) in enumerate(videos)
        ]
    )


def accuracies(confusions: np.ndarray) -> np.ndarray:
    """Share of frames recognised, [V] from [V, C, C] (or a number from [C, C])."""
    return divide(np.trace(confusions, axis1=-2, axis2=-1), confusions.sum((-2, -1)))


def per_class(confusions: np.ndarray, absent: str) -> dict[str, np.ndarray]:
    """Precision, recall, Jaccard and F1 of each class, each [..., C], from [..., C, C] counts.

    Args:
        confusions: of each video, or pooled over videos.
        absent: one of ABSENT_POLICIES, see the module's text.
    """
    if absent not in ABSENT_POLICIES:
        raise UserError(f"absent={absent!r}; choose {', '.join(ABSENT_POLICIES)}")
    hits = np.diagonal(confusions, axis1=-2, axis2=-1).astype(np.float64)
    in_truth, predicted = confusions.sum(-1), confusions.sum(-2)
    either = in_truth + predicted - hits
    table = {
        "precision": divide(hits, predicted),
        "recall": divide(hits, in_truth),
        "jaccard": divide(hits, either),
        "f1": divide(2 * hits, in_truth + predicted),
    }
    if absent == "union":
        table = {
            name: np.where(either > 0, np.nan_to_num(values), np.nan)
            for name, values in table.items()
        }
    elif absent == "gt_only":
        table = {name: np.where(in_truth > 0, values, np.nan) for name, values in table.items()}
    elif absent == "absent_is_one":
        table |= {
            name: np.where(either > 0, table[name], 1.0) for name in ("precision", "jaccard", "f1")
        }
    return table


def harmonic_mean(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """2PR / (P + R) element by element, 0 where both are 0.

    Of mean precision and mean recall it is at least the mean of the F1 that they belong to.
    """
    precision, recall = np.asarray(precision), np.asarray(recall)
    total = precision + recall
    return np.where(total == 0, 0.0, divide(2 * precision * recall, total))
