"""The scores that select parameters while a model is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from surgvista_jax.facts.tasks import LABEL_KINDS
from surgvista_jax.facts.triplets import TABLES, TripletTable
from surgvista_jax.metrics.average_precision import average_precisions, mean_over_classes
from surgvista_jax.metrics.classification import one_vs_rest_average_precisions
from surgvista_jax.metrics.triplet import mean_average_precision, video_average_precisions


@dataclass(frozen=True)
class SelectingScore:
    """A score that selects.

    Attributes:
        of: label [N] or [N, C], score [N, C] and ascending video int [N] -> a fraction, of which
            higher is better.
        label_kinds: of labels that have it.
        num_classes: the number that it is defined for; None: any.
    """

    of: Callable[[np.ndarray, np.ndarray, np.ndarray], float]
    label_kinds: tuple[str, ...]
    num_classes: int | None = None


def _accuracy(label: np.ndarray, score: np.ndarray, video: np.ndarray) -> float:
    """Share of right decisions over the frames of all videos."""
    return float((score.argmax(1) == label).mean())


def _mean_ap(label: np.ndarray, score: np.ndarray, video: np.ndarray) -> float:
    """AP of each class over the frames of all videos, mean over the classes that occur."""
    by_class = one_vs_rest_average_precisions if label.ndim == 1 else average_precisions
    return float(mean_over_classes(by_class(label, score), "drop"))


def _triplet_ap(
    label: np.ndarray, score: np.ndarray, video: np.ndarray, table: TripletTable
) -> float:
    """AP per triplet and video, null triplets apart; mean over videos, then over triplets."""
    borders = np.flatnonzero(np.diff(video)) + 1
    videos = list(zip(np.split(label, borders), np.split(score, borders), strict=True))
    found = video_average_precisions(videos, table, "ivt", absent="drop", null_classes="drop")
    return mean_average_precision(found)


SCORES = {
    "accuracy": SelectingScore(_accuracy, ("single",)),
    "mean_ap": SelectingScore(_mean_ap, LABEL_KINDS),
    **{
        f"triplet_ap_{name}": SelectingScore(
            partial(_triplet_ap, table=table), ("multi",), len(table.rows)
        )
        for name, table in TABLES.items()
    },
}
