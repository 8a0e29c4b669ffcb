"""Scores of single labels, and of the criteria of the critical view of safety.

Single labels: score [N, C] and label int [N]. Criteria: score [N, K] and truth [N, K]. Accuracy,
precision, recall and F1 of hard labels follow from confusion matrices (metrics.phase); what is here
needs scores, or belongs to clips rather than to the frames of a video.
"""

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.average_precision import average_precisions
from surgvista_jax.metrics.averaging import divide, nanmean
from surgvista_jax.metrics.phase import per_class
from surgvista_jax.metrics.sampling import check_scores


def check_single(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (int64 [N], float64 [N, C]) after checking lengths and class ids."""
    label, score = np.asarray(label), check_scores(score, "scores")
    if label.shape != score.shape[:1]:
        raise UserError(f"scores: {len(score)} rows of scores but labels of shape {label.shape}")
    if len(label) and not (0 <= label.min() and label.max() < score.shape[1]):
        raise UserError(
            f"scores: labels run from {label.min()} to {label.max()}, but the scores have "
            f"{score.shape[1]} classes, 0..{score.shape[1] - 1}"
        )
    return label.astype(np.int64), score


def top_k_hits(label: np.ndarray, score: np.ndarray, k: int) -> np.ndarray:
    """Whether the label is among the k highest scores, bool [N]; of ties the lower class wins."""
    label, score = check_single(label, score)
    best = np.argsort(-score, axis=1, kind="stable")[:, :k]
    return (best == label[:, None]).any(1)


def one_hot(label: np.ndarray, num_classes: int) -> np.ndarray:
    """bool [N, C]."""
    return np.asarray(label)[:, None] == np.arange(num_classes)


def one_vs_rest_average_precisions(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """AP of each class against the others over all rows, [C]; NaN for a class without a label."""
    label, score = check_single(label, score)
    return average_precisions(one_hot(label, score.shape[1]), score)


def macro(confusion: np.ndarray, absent: str = "union") -> dict[str, np.ndarray]:
    """Mean over classes of precision, recall, Jaccard, F1 from pooled counts [..., C, C]."""
    return {name: nanmean(values, axis=-1) for name, values in per_class(confusion, absent).items()}


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Mean recall over the classes that occur in the truth, from counts [..., C, C]."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return nanmean(divide(hits, confusion.sum(-1)), axis=-1)


def criteria_truth(ratings: np.ndarray) -> np.ndarray:
    """Yes or no per criterion from the mean of the annotators' votes in 0..1, bool [N, K].

    Rounds half to even as NumPy and PyTorch do: of three votes one is no, two are yes; of two
    votes a tie is no.
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    if ratings.size and not (ratings.min() >= 0 and ratings.max() <= 1):
        raise UserError(
            f"criteria ratings run from {ratings.min():g} to {ratings.max():g}; "
            "they are the share of annotators who saw the criterion, 0..1"
        )
    return np.rint(ratings) > 0


def presence_truth(label: np.ndarray, where: str = "labels") -> np.ndarray:
    """Whether each class is there, bool [N, K], from 0 and 1."""
    label = np.asarray(label)
    wrong = label[~np.isin(label, (0, 1))]
    if wrong.size:
        raise UserError(f"{where}: label {wrong[0]:g}; a class is there (1) or not (0)")
    return label != 0


def criteria_counts(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Counts [K, 5] of each criterion from yes or no [N, K]: both, found, true, alike, rows."""
    truth, found = np.asarray(truth) != 0, np.asarray(found) != 0
    parts = (truth & found, found, truth, truth == found, np.ones_like(truth))
    return np.stack([part.sum(0) for part in parts], axis=-1)


def criteria_rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, precision, recall, F1 from counts [..., K, 5], each [..., K]; 0/0 is 0."""
    both, found, true, alike, rows = np.moveaxis(np.asarray(counts), -1, 0)
    return {
        "accuracy": divide(alike, rows),
        "precision": np.nan_to_num(divide(both, found)),
        "recall": np.nan_to_num(divide(both, true)),
        "f1": np.nan_to_num(divide(2 * both, found + true)),
    }
