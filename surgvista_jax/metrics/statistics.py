"""Whether a difference of two models is more than chance, and the spread over seeds.

Frames of one video are not independent, so videos (or patients) are the unit: tests pair them.
`metrics.intervals` says how sure a score is.
"""

import math
from collections.abc import Sequence
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
    # Effect size, -1 to 1: matched-pairs rank-biserial correlation, the share of ranks for a
    # positive difference less the share against it (Kerby, "The simple difference formula",
    # Comprehensive Psychology 3, 2014); 0 where all differences are zero.
    rank_biserial: float


def without_last_bits(differences: np.ndarray | Sequence[float]) -> np.ndarray:
    """Differences [n] of scores, those below 1e-12 as 0.

    Equal scores computed along two paths may differ in the last bits, which is no win.
    """
    differences = np.asarray(differences, dtype=np.float64)
    return np.where(np.abs(differences) < 1e-12, 0.0, differences)


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
    statistic, total = float(ranks[positive].sum()), float(ranks.sum())
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
        (2 * statistic - total) / total if total else 0.0,
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


def over_seeds(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, standard deviation over N - 1 (NaN for one seed) and number of seeds."""
    values = np.asarray(values, dtype=np.float64)
    spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    return float(values.mean()), spread, len(values)
