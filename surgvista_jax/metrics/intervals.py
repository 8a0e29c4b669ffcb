"""Intervals of scores over videos (or patients), from few of them and of any score.

A studentised bootstrap ("bootstrap-t": Efron and Tibshirani, An Introduction to the Bootstrap,
chapter 12, 1993): units are drawn with replacement, and each drawn score's distance from the score
is divided by a standard error of its own draw. So the interval knows both its skewness and how
little a handful of videos tells of its own spread; percentiles know neither and are far too short.
SciPy's bootstrap has no such method. Standard errors come from the influence of each unit on the
score, which does for means as for pooled and nonlinear scores: with few units the influence within
each draw (the infinitesimal jackknife), with more that within the sample (the jackknife), on which
draws of many units tell the same.

`metrics.coverage` measures how often these intervals hold the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# A draw's own variance counts as at least this share of that of the units: draws of nearly equal
# units would otherwise stretch the interval without end, as where one clip of a hundred is wrong.
LEAST_VARIANCE = 0.05
LEVEL = 0.95
FEW = 10  # units, up to which influences are found in each draw
_STEP = 1e-3  # by which a draw is moved towards a unit
_ROWS = 1000  # of weights that are scored at a time

Weighted = Callable[[np.ndarray], np.ndarray]  # times that each video counts [B, V] -> [B]


@dataclass(frozen=True, eq=False)
class Draws:
    """Units drawn with replacement, from each stratum as many as it has.

    Attributes:
        counts: float64 [B, U], how often each unit was drawn.
        unit: int [V], the unit of each video; -1 for a video that never counts.
        stratum: int [U], of each unit.
    """

    counts: np.ndarray
    unit: np.ndarray
    stratum: np.ndarray

    def weights(self, counts: np.ndarray) -> np.ndarray:
        """How often each video counts, [B, V], from how often each unit does, [B, U]."""
        never = np.zeros((len(counts), 1))
        return np.concatenate([counts, never], axis=1)[:, self.unit]

    @property
    def sizes(self) -> np.ndarray:
        """Units of each stratum, [S]."""
        return np.bincount(self.stratum)


def draw(
    num_videos: int,
    samples: int,
    seed: int,
    *,
    cluster: np.ndarray | None = None,
    stratum: np.ndarray | None = None,
) -> Draws:
    """Draws of videos, or of patients with all their videos.

    Args:
        cluster: int [V], the patient of each video if patients are drawn.
        stratum: int [V], -1 for videos that never count; units of different strata are drawn apart,
            a patient with videos in two strata as two. None: one stratum of all.
    """
    of_video = np.zeros(num_videos, np.int64) if stratum is None else np.asarray(stratum)
    patient = np.arange(num_videos) if cluster is None else np.asarray(cluster)
    inside = np.flatnonzero(of_video >= 0)
    pairs = np.stack([of_video[inside], patient[inside]], axis=1)
    units, index = np.unique(pairs, axis=0, return_inverse=True)
    unit = np.full(num_videos, -1)
    unit[inside] = index.ravel()
    generator = np.random.default_rng(seed)
    counts = np.zeros((samples, len(units)))
    for members in (np.flatnonzero(units[:, 0] == k) for k in np.unique(units[:, 0])):
        size = len(members)
        counts[:, members] = generator.multinomial(size, np.full(size, 1 / size), size=samples)
    return Draws(counts, unit, np.unique(units[:, 0], return_inverse=True)[1].ravel())


@dataclass(frozen=True)
class Interval:
    """A value with its interval; `low` and `high` are NaN where there is none."""

    value: float
    low: float
    high: float
    level: float
    samples: int  # draws in which the value was defined


def interval(
    score: Weighted, draws: Draws, bounds: tuple[float, float], level: float = LEVEL
) -> Interval:
    """The value of a score with all units once, and its interval within `bounds`.

    There is none from one unit, nor where the score is undefined without some unit. Where no unit
    changes the score, the interval is that one value; but at an end of the bounds (every clip
    right) it reaches to the share of other units at which as many draws would still hold none.
    """
    whole = np.ones((1, draws.counts.shape[1]))
    value = float(score(draws.weights(whole))[0])
    nothing = Interval(value, float("nan"), float("nan"), level, 0)
    if np.isnan(value) or draws.sizes.min() < 2:
        return nothing
    without = score(draws.weights(1 - np.eye(draws.counts.shape[1])))
    influence = (draws.sizes[draws.stratum] - 1) * (value - without)
    if np.isnan(influence).any():
        return nothing
    resampled = score(draws.weights(draws.counts))
    own_influence = influence
    if len(draws.stratum) <= FEW:
        influence = _influences(score, draws, whole, np.array([value]))[0]
        own_influence = _influences(score, draws, draws.counts, resampled)
    own = _variance(draws.counts, own_influence, draws)
    defined = ~np.isnan(resampled) & ~np.isnan(own)
    tail = (1 - level) / 2
    variance = float(_variance(whole, influence, draws)[0])
    if variance < 1e-24:
        low, high = _of_equals(value, draws, bounds, tail)
    else:
        own = np.maximum(own[defined], LEAST_VARIANCE * variance)
        distance = (resampled[defined] - value) / np.sqrt(own)
        far = np.quantile(distance, [1 - tail, tail])
        low, high = np.clip(value - far * np.sqrt(variance), *bounds)
    return Interval(value, float(low), float(high), level, int(defined.sum()))


def _influences(
    score: Weighted, draws: Draws, counts: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """How fast each draw's value moves where the draw is moved towards each unit: [B, U].

    Args:
        counts, values: of the draws, [B, U] and [B].
    """
    alike = np.equal.outer(draws.stratum, draws.stratum)
    size = draws.sizes[draws.stratum]
    moved = counts[:, None, :] * (1 - _STEP * alike) + _STEP * np.diag(size)
    rows = moved.reshape(-1, counts.shape[1])
    parts = [
        score(draws.weights(rows[start : start + _ROWS])) for start in range(0, len(rows), _ROWS)
    ]
    return (np.concatenate(parts).reshape(counts.shape) - values[:, None]) / _STEP


def _variance(counts: np.ndarray, influence: np.ndarray, draws: Draws) -> np.ndarray:
    """Squared standard errors [B] of draws [B, U] whose units have influences [U] or [B, U]."""
    members = np.equal.outer(draws.stratum, np.arange(len(draws.sizes))).astype(np.float64)
    mean = (counts * influence) @ members / draws.sizes
    square = (counts * influence**2) @ members / draws.sizes
    return (np.maximum(square - mean**2, 0.0) / (draws.sizes - 1)).sum(1)


def _of_equals(
    value: float, draws: Draws, bounds: tuple[float, float], tail: float
) -> tuple[float, float]:
    """Clopper and Pearson's interval of units that all lie at an end of the bounds."""
    low, high = bounds
    share = tail ** (1 / draws.sizes[0]) * (high - low)
    if len(draws.sizes) == 1 and abs(value - high) < 1e-12:
        return low + share, high
    if len(draws.sizes) == 1 and abs(value - low) < 1e-12:
        return low, high - share
    return value, value
