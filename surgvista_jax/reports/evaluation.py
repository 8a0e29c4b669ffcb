"""The outcome of evaluating one run: its scores, its tables, its counts."""

from dataclasses import dataclass, field

import numpy as np

from surgvista_jax.metrics.scores import Score
from surgvista_jax.predictions.frames import Predictions


@dataclass(frozen=True)
class ClassTable:
    """Values of each class: columns of [C]; fractions, or counts where the name says so."""

    title: str
    classes: tuple[str, ...]
    columns: dict[str, np.ndarray]
    counts: tuple[str, ...] = ()  # which columns are counts
    note: str = ""


@dataclass(frozen=True)
class Evaluation:
    """One run under one protocol."""

    scores: list[Score]
    tables: list[ClassTable]
    confusions: np.ndarray | None = None  # [V, C, C]
    reliability: np.ndarray | None = None  # [bins, 3] sums
    notes: list[str] = field(default_factory=list)

    def score(self, key: str) -> Score:
        return next(score for score in self.scores if score.key == key)


def primary_first(scores: list[Score], primary: tuple[str, ...]) -> list[Score]:
    """The protocol's main scores in its order, as far as they could be computed, then the rest."""
    by_key = {score.key: score for score in scores}
    first = [by_key[key] for key in primary if key in by_key]
    return first + [score for score in scores if score.key not in primary]


def video_rows(predictions: Predictions) -> list[slice]:
    """The rows of each video."""
    return [predictions.rows(video) for video in range(len(predictions.videos))]
