"""Scores as functions of the number of times that each video counts.

Every score of a report is a function of video weights [B, V] -> [B]. That one form gives the plain
score (ones), its bootstrap (drawn counts), a group's score (zeros and ones), and a difference under
the same draws. Values are fractions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from surgvista_jax.metrics import averaging
from surgvista_jax.metrics.average_precision import mean_over_classes, resampled_average_precision
from surgvista_jax.metrics.averaging import divide, nanmean, nanstd
from surgvista_jax.metrics.phase import harmonic_mean

Weighted = Callable[[np.ndarray], np.ndarray]
Rule = Callable[[np.ndarray], np.ndarray]  # sums over videos [B, ...] -> [B]


@dataclass(frozen=True)
class Score:
    """One named number of a report."""

    key: str
    title: str
    of_weights: Weighted
    per_video: np.ndarray | None = None  # [V] what a paired test compares; None if there is none
    per_class: np.ndarray | None = None  # [C] means over videos, where the score averages them
    higher_is_better: bool = True
    section: str = ""  # heading under which a report shows it; "" = with the main scores
    percent: bool = True  # shown in percent
    bounds: tuple[float, float] = (0.0, 1.0)  # that it cannot leave

    def value(self, weights: np.ndarray | None = None) -> float:
        """The score with all videos once, or under one row of weights [V]."""
        if weights is None:
            num_videos = len(self.per_video) if self.per_video is not None else None
            if num_videos is None:
                raise ValueError(f"{self.key}: weights [V] are needed")
            weights = np.ones(num_videos)
        return float(self.of_weights(np.asarray(weights, np.float64)[None])[0])

    def spreads(self) -> dict[str, float]:
        """Standard deviations over N - 1, where they have a meaning."""
        found = {}
        if self.per_video is not None:
            found["std_over_videos"] = float(nanstd(self.per_video))
        if self.per_class is not None:
            found["std_over_classes"] = float(nanstd(self.per_class))
        return found


def mean_of_videos(key: str, title: str, values: np.ndarray, **about: Any) -> Score:
    """Mean over videos of one value each, [V]."""
    return Score(
        key,
        title,
        lambda weights: averaging.over_videos(values[:, None], weights)[:, 0],
        per_video=values,
        **about,
    )


def videos_then_classes(key: str, title: str, values: np.ndarray, **about: Any) -> Score:
    """Mean over videos of each class, then over classes, of [V, C]."""
    return Score(
        key,
        title,
        lambda weights: averaging.videos_then_classes(values, weights),
        per_video=nanmean(values, axis=1),
        per_class=nanmean(values, axis=0),
        **about,
    )


def classes_then_videos(key: str, title: str, values: np.ndarray, **about: Any) -> Score:
    """Mean over classes of each video, then over videos, of [V, C]."""
    return Score(
        key,
        title,
        lambda weights: averaging.classes_then_videos(values, weights),
        per_video=nanmean(values, axis=1),
        **about,
    )


def pairs(key: str, title: str, values: np.ndarray, **about: Any) -> Score:
    """Mean over all pairs of video and class that have a value, of [V, C]."""
    return Score(
        key,
        title,
        lambda weights: averaging.over_pairs(values, weights),
        per_video=nanmean(values, axis=1),
        **about,
    )


def f1_of_means(key: str, title: str, precision: Score, recall: Score, **about: Any) -> Score:
    """The harmonic mean of a mean precision and a mean recall."""
    per_video = None
    if precision.per_video is not None and recall.per_video is not None:
        per_video = harmonic_mean(precision.per_video, recall.per_video)
    return Score(
        key,
        title,
        lambda weights: harmonic_mean(precision.of_weights(weights), recall.of_weights(weights)),
        per_video=per_video,
        **about,
    )


def mean_of_folds(
    key: str, title: str, values: np.ndarray, fold: np.ndarray, **about: Any
) -> Score:
    """Mean over folds of `videos_then_classes`, of [V, C] and the fold of each video, [V]."""

    def of_weights(weights: np.ndarray) -> np.ndarray:
        of_folds = [
            averaging.videos_then_classes(values[fold == k], weights[:, fold == k])
            for k in np.unique(fold)
        ]
        return nanmean(np.stack(of_folds), axis=0)

    return Score(key, title, of_weights, per_video=nanmean(values, axis=1), **about)


def ratio(key: str, title: str, part: np.ndarray, whole: np.ndarray, **about: Any) -> Score:
    """Sum of [V] parts over sum of [V] wholes: frames of all videos pooled."""
    return Score(
        key,
        title,
        lambda weights: divide(weights @ part, weights @ whole),
        per_video=divide(part, whole),
        **about,
    )


def of_sums(
    key: str,
    title: str,
    sums: np.ndarray,
    rule: Rule,
    per_video: bool = True,
    **about: Any,
) -> Score:
    """`rule` applied to sums over videos: sums [V, ...], rule [B, ...] -> [B]."""
    sums = np.asarray(sums, np.float64)
    return Score(
        key,
        title,
        lambda weights: rule(np.tensordot(weights, sums, axes=1)),
        per_video=rule(sums) if per_video else None,
        **about,
    )


def pooled_average_precision(
    key: str,
    title: str,
    truth: np.ndarray,
    score: np.ndarray,
    video: np.ndarray,
    *,
    absent: str,
    **about: Any,
) -> Score:
    """Mean over classes of AP over all frames: truth, score [N, C], video int [N]."""

    def of_weights(weights: np.ndarray) -> np.ndarray:
        values = np.stack(
            [
                resampled_average_precision(truth[:, k], score[:, k], video, weights)
                for k in range(score.shape[1])
            ],
            axis=1,
        )
        return mean_over_classes(values, absent)

    return Score(key, title, of_weights, **about)


def gain(ours: Score, theirs: Score) -> tuple[Weighted, tuple[float, float]]:
    """How much better our score is on the same videos, and the bounds of that."""
    sign = 1.0 if ours.higher_is_better else -1.0
    width = ours.bounds[1] - ours.bounds[0]

    def of_weights(weights: np.ndarray) -> np.ndarray:
        return sign * (ours.of_weights(weights) - theirs.of_weights(weights))

    return of_weights, (-width, width)


def mean_over_runs(runs: Sequence[Score]) -> Score:
    """The mean of one score over repeated runs (seeds) on the same videos."""
    first = runs[0]
    if len(runs) == 1:
        return first

    def stacked(name: str) -> np.ndarray | None:
        values = [getattr(run, name) for run in runs]
        return None if values[0] is None else nanmean(np.stack(values), axis=0)

    return replace(
        first,
        of_weights=lambda weights: np.mean([run.of_weights(weights) for run in runs], axis=0),
        per_video=stacked("per_video"),
        per_class=stacked("per_class"),
    )
