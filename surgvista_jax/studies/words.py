"""The numbers of a study's report in words, the same on its page and in its tables."""

from typing import Any

from surgvista_jax.reports.names import MODES
from surgvista_jax.reports.words import number, p_value

NONE = "–"
_PAIRS = {
    frozenset({"video"}): "the test videos",
    frozenset({"patient"}): "the patients of the test videos, each the mean of all its videos",
    frozenset({"video", "patient"}): (
        "the test videos, or, on datasets that name patients with several, the patients, each the "
        "mean of all its videos"
    ),
}


def mode_words(mode: str) -> str:
    """How a backbone is used: "linear probe" of "linear"."""
    return MODES.get(mode, mode)


def with_spread(entry: dict[str, Any] | None) -> str:
    """ "87.31 ± 0.40": a score, and its standard deviation over seeds where there are several."""
    if entry is None or entry["value"] is None:
        return NONE
    percent = entry.get("percent", True)
    seeds = entry.get("seeds")
    spread = f" ± {number(seeds['std'], percent)}" if seeds else ""
    return f"{number(entry['value'], percent)}{spread}"


def seeds_words(row: dict[str, Any]) -> str:
    """How many of the planned seeds there are: "" of all, else "2 of 3 seeds"."""
    there, planned = len(row["seeds"]), len(row["seeds_planned"])
    return "" if there == planned else f"{there} of {planned} seeds"


def best_rows(panel: dict[str, Any], key: str) -> set[str]:
    """The weights with the best value of a score; none where no two can be compared."""
    higher = next(s["higher_is_better"] for s in panel["scores"] if s["key"] == key)
    values = {
        row["weights"]: row["scores"][key]["value"]
        for row in panel["rows"]
        if row["scores"].get(key, {}).get("value") is not None
    }
    if len(values) < 2:
        return set()
    best = (max if higher else min)(values.values())
    return {name for name, value in values.items() if value == best}


def p_words(test: dict[str, Any] | None, adjusted: float | None) -> str:
    return NONE if test is None or adjusted is None else p_value(adjusted)


def effect(test: dict[str, Any] | None) -> str:
    return NONE if test is None else f"{test['rank_biserial']:+.2f}"


def how_tested(report: dict[str, Any]) -> str:
    """What the tests did, in words."""
    boot = report["bootstrap"]
    tests = [test for test in report["tests"] if test["one_sided"]]
    if not tests:
        return ""
    pairs = _PAIRS[frozenset(test["unit"] for test in tests)]
    of_main = sum(test["main"] for test in tests)
    fewest = max(test["one_sided"]["smallest_p"] for test in tests)
    return (
        "H1 of each test: ours is better than theirs, one-sided. It is a Wilcoxon signed-rank "
        f"test; its pairs are {pairs} (values of a video are means over the finished seeds; "
        "differences of exactly zero are dropped; p is exact up to 200 pairs). Holm’s adjustment "
        "is made twice: over the comparisons of one score on one dataset in one mode, and over the "
        f"whole study ({of_main} comparisons by the main scores of all datasets, and each further "
        "score by itself). With the fewest pairs here no p can be below "
        f"{p_value(fewest)} before adjustment. Beside it stands the interval of the difference, "
        f"{100 * boot['level']:.0f} %, by a paired bootstrap of these ({boot['samples']} "
        f"draws, seed {boot['seed']}; the same for both). The effect is the matched-pairs "
        "rank-biserial correlation (Kerby 2014): +1 where every pair is better, 0 where ranks are "
        "balanced. Scores that no single video has, such as mAP over pooled frames, have the "
        "interval alone. Two-sided values are in tests.csv. Tests do not know how much another "
        "seed would change: that is told by the spread over seeds alone."
    )
