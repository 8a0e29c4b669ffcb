"""Scores of <instrument, verb, target> triplets and of their components.

The benchmark's number: average precision of each class in each video, mean over the videos that
hold the class, then mean over classes. A component's score (and truth) is the maximum over the
triplets that share it. Pooling the frames of all videos ("global") gives another number.

Two rules for a class that a video lacks are in circulation, because the field's package marks such
classes by an AP of zero, and its versions compare that zero differently: `absent="drop"` leaves the
class out of that video (ivtmetrics 0.1.2, the meaning intended), `absent="zero"` lets it count as 0
(ivtmetrics 0.1.5 with a scikit-learn that returns +0.0 for such classes), which lowers the score by
the share of absent classes. A class that is present always has an AP above 0.
"""

from collections.abc import Sequence

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.facts.triplets import TripletTable
from surgvista_jax.metrics.average_precision import average_precisions, with_absent
from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.sampling import check_scores

COMPONENTS = ("i", "v", "t", "iv", "it", "ivt")
COMPONENT_NAMES = {
    "i": "instrument",
    "v": "verb",
    "t": "target",
    "iv": "instrument-verb",
    "it": "instrument-target",
    "ivt": "triplet",
}


def check_triplets(
    truth: np.ndarray, score: np.ndarray, table: TripletTable, where: str = "video"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (bool [n, classes], float64 [n, classes]) after checking shapes and values."""
    truth, score = np.asarray(truth), check_scores(score, where)
    if truth.shape != score.shape:
        raise UserError(
            f"{where}: ground truth {truth.shape} but scores {score.shape}; they must be equal"
        )
    if score.shape[1] != len(table.rows):
        raise UserError(
            f"{where}: {score.shape[1]} classes, but {table.name} has {len(table.rows)} triplets"
        )
    if not ((truth == 0) | (truth == 1)).all():
        raise UserError(f"{where}: ground truth of triplets is 0 or 1 in each class")
    return truth != 0, score


def component(values: np.ndarray, table: TripletTable, name: str) -> np.ndarray:
    """Maximum over the triplets sharing a component: [n, classes] -> [n, component classes]."""
    if name == "ivt":
        return np.asarray(values)
    if name not in COMPONENTS:
        raise UserError(f"component {name!r}; choose {', '.join(COMPONENTS)}")
    ids = table.component_ids(name)
    order = np.argsort(ids, kind="stable")
    starts = np.searchsorted(ids[order], np.arange(ids.max() + 1))
    return np.maximum.reduceat(np.asarray(values)[:, order], starts, axis=1)


def counted_classes(table: TripletTable, name: str, null_classes: str) -> np.ndarray:
    """Which classes of a component enter the mean: bool [component classes].

    "drop" leaves out the null triplets, and only in "ivt": the field's package keeps the null verb,
    the null target and the null pairs in the other five components.
    """
    if null_classes not in ("drop", "keep"):
        raise UserError(f"null_classes={null_classes!r}; choose 'drop' or 'keep'")
    counted = np.ones(table.num_classes(name), bool)
    if name == "ivt" and null_classes == "drop":
        counted[list(table.null_triplets)] = False
    return counted


def video_average_precisions(
    videos: Sequence[tuple[np.ndarray, np.ndarray]],
    table: TripletTable,
    name: str,
    *,
    absent: str,
    null_classes: str = "keep",
) -> np.ndarray:
    """AP [V, counted classes] of one component from (truth, score) pairs, each [n, classes]."""
    counted = counted_classes(table, name, null_classes)
    rows = []
    for index, (truth, score) in enumerate(videos):
        truth, score = check_triplets(truth, score, table, f"video {index}")
        rows.append(
            average_precisions(component(truth, table, name), component(score, table, name))
        )
    return with_absent(np.stack(rows)[:, counted], absent)


def mean_average_precision(values: np.ndarray) -> float:
    """Mean over videos, then over classes, of AP [V, C] with NaN where a class is not to count."""
    return float(nanmean(nanmean(values, axis=0)))


def top_k_counts(truth: np.ndarray, score: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Per frame: true labels among the k highest scores, and true labels; int [N] each."""
    best = np.argsort(-np.asarray(score), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(truth, best, axis=1).sum(1), truth.sum(1)
