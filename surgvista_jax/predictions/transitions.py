"""How often does one class follow another? Counted on labels, for smoothing over time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from surgvista_jax.data.dataset import UNLABELLED, Dataset
from surgvista_jax.errors import UserError

_KEYS = ("begins", "follows")


@dataclass(frozen=True, eq=False)
class Transitions:
    """Counts from one frame to the next, of C classes of which one holds at a time.

    Attributes:
        begins: int64 [C], videos whose first labelled frame is of a class.
        follows: int64 [C, C], pairs of neighbouring frames: of row's class, then of column's.
        source: whose labels were counted.
    """

    begins: np.ndarray
    follows: np.ndarray
    source: str = ""

    def first(self) -> np.ndarray:
        """Probabilities of the first frame, float64 [C]; Laplace: each class is counted once more.

        So nothing is impossible that the labels do not show.
        """
        counts = self.begins + 1.0
        return counts / counts.sum()

    def after(self, frames: int = 1) -> np.ndarray:
        """Probabilities `frames` later, float64 [C, C]: of a class (row) to become another."""
        counts = self.follows + 1.0
        step = counts / counts.sum(1, keepdims=True)
        return np.linalg.matrix_power(step, frames)

    def as_json(self) -> dict[str, list]:
        """What `from_json` reads."""
        return {key: getattr(self, key).tolist() for key in _KEYS}


def count_transitions(
    labels: Iterable[Sequence[int]], num_classes: int, source: str = ""
) -> Transitions:
    """Counts the labels of videos, an id a frame; pairs with an unlabelled frame (-1) count not."""
    begins = np.zeros(num_classes, np.int64)
    follows = np.zeros((num_classes, num_classes), np.int64)
    for video in labels:
        ids = np.asarray(video, np.int64)
        known = ids != UNLABELLED
        if known.any():
            begins[ids[known.argmax()]] += 1
        pairs = known[:-1] & known[1:]
        np.add.at(follows, (ids[:-1][pairs], ids[1:][pairs]), 1)
    return Transitions(begins, follows, source)


def transitions_of(dataset: Dataset) -> Transitions | None:
    """Those of a dataset's labels; None where several classes may hold or nothing is labelled."""
    labels = [video.labels for video in dataset.videos if video.labels is not None]
    if dataset.label_kind != "single" or not labels:
        return None
    return count_transitions(labels, len(dataset.classes), dataset.name)


def from_json(value: Any, num_classes: int, where: str, source: str = "") -> Transitions:
    """Counts as they were written.

    Args:
        value: from `as_json`.
        num_classes: C.
        where: the file, for messages.
        source: whose labels were counted.

    Raises:
        UserError: they are something else.
    """
    shapes = ((num_classes,), (num_classes, num_classes))
    arrays = {}
    for key, shape in zip(_KEYS, shapes, strict=True):
        try:
            found = np.asarray(value[key]) if isinstance(value, Mapping) else np.zeros(0)
        except (KeyError, ValueError):
            found = np.zeros(0)
        if found.shape != shape or found.dtype.kind != "i" or (found < 0).any():
            raise UserError(
                f"{where}: transitions are damaged: {key!r} should be counts {list(shape)}"
            )
        arrays[key] = found.astype(np.int64)
    return Transitions(arrays["begins"], arrays["follows"], source)
