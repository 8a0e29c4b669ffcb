"""How sure a score, or a difference of two, is with so many videos and seeds.

Frames of one video are not independent, so videos (or patients) are the unit everywhere: tests pair
them, the bootstrap draws them with replacement.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from surgvista_jax.errors import UserError

ALTERNATIVES = ("greater", "less", "two-sided")
ZERO_RULES = ("wilcox", "pratt")
EXACT_UP_TO = 200  # pairs; above it the normal approximation is as good and much faster


@dataclass(frozen=True)
class Wilcoxon:
    """A signed-rank test of paired differences."""

    statistic: float  # sum of the ranks of positive differences
    p_value: float
    alternative: str
    zero_rule: str
    num_pairs: int
    num_zeros: int  # differences of exactly 0
    method: str  # "exact" | "normal approximation"
    smallest_p: float  # reachable with this many pairs if none were zero or tied


def smallest_p(num_pairs: int, alternative: str) -> float:
    """The p-value if all differences have the hoped-for sign: 2^-n, two-sided 2^(1-n)."""
    if num_pairs < 1:
        return 1.0
    return min(1.0, 2.0 ** ((1 if alternative == "two-sided" else 0) - num_pairs))


def wilcoxon(
    differences: np.ndarray, alternative: str = "greater", zero_rule: str = "wilcox"
) -> Wilcoxon:
    """Wilcoxon signed-rank test; the p-value is exact also with ties and zeros up to 200 pairs.

    Args:
        differences: [n] paired differences (ours - baseline); NaN pairs are left out.
        alternative: "greater" (ours is better), "less", "two-sided".
        zero_rule: "wilcox" drops zero differences before ranking; "pratt" ranks them, then drops
            their ranks.

    Exact means: given the ranks found (mid-ranks for ties), each sign is a fair coin.
    """
    if alternative not in ALTERNATIVES or zero_rule not in ZERO_RULES:
        raise UserError(
            f"alternative={alternative!r}, zero_rule={zero_rule!r}; choose of {ALTERNATIVES} and "
            f"of {ZERO_RULES}"
        )
    differences = np.asarray(differences, dtype=np.float64)
    differences = differences[~np.isnan(differences)]
    zeros = differences == 0
    if zero_rule == "pratt":
        ranks = mid_ranks(np.abs(differences))[~zeros]
    else:
        ranks = mid_ranks(np.abs(differences[~zeros]))
    positive = differences[~zeros] > 0
    statistic = float(ranks[positive].sum())
    if not len(ranks):
        p_value, method = 1.0, "exact"
    elif len(ranks) <= EXACT_UP_TO:
        p_value, method = _exact_p(ranks, statistic, alternative), "exact"
    else:
        p_value, method = _normal_p(ranks, statistic, alternative), "normal approximation"
    return Wilcoxon(
        statistic,
        p_value,
        alternative,
        zero_rule,
        len(differences),
        int(zeros.sum()),
        method,
        smallest_p(len(differences), alternative),
    )


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing the mean of theirs: [n] -> float64 [n]."""
    _, tie, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return ((last - count + 1 + last) / 2)[tie.ravel()]


def _exact_p(ranks: np.ndarray, statistic: float, alternative: str) -> float:
    doubled = np.rint(2 * ranks).astype(int)  # mid-ranks are halves
    chance = np.zeros(doubled.sum() + 1)
    chance[0] = 1.0
    for rank in doubled:
        chance[rank:] = (chance[rank:] + chance[:-rank]) / 2
        chance[:rank] /= 2
    at = round(2 * statistic)
    upper, lower = chance[at:].sum(), chance[: at + 1].sum()
    tails = {"greater": upper, "less": lower, "two-sided": 2 * min(upper, lower)}
    return float(min(1.0, tails[alternative]))


def _normal_p(ranks: np.ndarray, statistic: float, alternative: str) -> float:
    z = (statistic - ranks.sum() / 2) / (np.sqrt((ranks**2).sum()) / 2)
    tails = {"greater": z, "less": -z, "two-sided": abs(z)}
    sides = 2 if alternative == "two-sided" else 1
    return sides * math.erfc(tails[alternative] / math.sqrt(2)) / 2


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment over a family of comparisons, [k] -> [k]."""
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    stepped = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def bootstrap_weights(
    num_videos: int, samples: int, seed: int, cluster: np.ndarray | None = None
) -> np.ndarray:
    """How often each video counts in each resample: float64 [samples, num_videos].

    Args:
        cluster: int [num_videos], the patient (0..) of each video if patients are to be drawn
            rather than videos; all videos of a drawn patient come along.

    NaN for a single video (patient): from one there is no telling how sure a score is.
    """
    units = num_videos if cluster is None else int(np.max(cluster)) + 1
    if units < 2:  # one unit drawn again and again would pass for certainty
        return np.full((samples, num_videos), np.nan)
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(units, np.full(units, 1 / units), size=samples)
    return (draws if cluster is None else draws[:, cluster]).astype(np.float64)


def resample(score: Callable[[np.ndarray], np.ndarray], weights: np.ndarray) -> np.ndarray:
    """A score under each row of bootstrap weights, [B]; NaN where there are no weights."""
    if np.isnan(weights).any():
        return np.full(len(weights), np.nan)
    return score(weights)


@dataclass(frozen=True)
class Interval:
    """A value with its percentile interval over resamples."""

    value: float
    low: float
    high: float
    level: float
    samples: int  # resamples in which the value was defined


def interval(value: float, resampled: np.ndarray, level: float = 0.95) -> Interval:
    """The percentile interval of resampled values [B]; resamples without a value are left out.

    `low` and `high` are NaN where no resample has a value.
    """
    resampled = np.asarray(resampled, dtype=np.float64)
    defined = resampled[~np.isnan(resampled)]
    if not len(defined):
        return Interval(float(value), float("nan"), float("nan"), level, 0)
    tail = (1 - level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high), level, len(defined))


def over_seeds(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, standard deviation over N - 1 (NaN for one seed) and number of seeds."""
    values = np.asarray(values, dtype=np.float64)
    spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    return float(values.mean()), spread, len(values)
