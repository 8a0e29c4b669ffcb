"""Which backbones of a study are compared with which, and how sure it is that one is better."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from surgvista_jax.metrics.statistics import Wilcoxon, holm, wilcoxon, without_last_bits
from surgvista_jax.reports.comparison import ZERO_RULE
from surgvista_jax.studies.collect import Study


@dataclass(frozen=True)
class Pair:
    """A question: are the weights `ours` better than `theirs`?"""

    ours: str
    theirs: str
    why: str


def pairs(study: Study) -> list[Pair]:
    """The comparisons that a study is about, each once, in its order.

    With and without a teacher, in each setting that has both; the study's `ours` against each
    other; and where neither is there, in an ordered study, each backbone against the one before
    it, as amounts of data grow.
    """
    first = {cell.weights: cell for cell in reversed(study.cells)}
    order = [name for name in study.weights]
    found = []
    for with_teacher in order:
        for without in order:
            a, b = first[with_teacher], first[without]
            if a.setting == b.setting and a.teacher is True and b.teacher is False:
                found.append(Pair(with_teacher, without, "with and without teacher"))
    if study.ours:
        others = (name for name in order if name != study.ours)
        found += [Pair(study.ours, name, "against the others") for name in others]
    if not found and study.ordered:
        found = [
            Pair(ours, theirs, "against the one before")
            for theirs, ours in zip(order[:-1], order[1:], strict=True)
        ]
    return list({(pair.ours, pair.theirs): pair for pair in reversed(found)}.values())[::-1]


def holm_by(
    tests: Sequence[dict], family: Callable[[dict], Hashable], name: str, side: str = "one_sided"
) -> None:
    """Notes Holm's adjustment within each family of tests: `test[name]`, NaN where none was made.

    Args:
        tests: each with a `Wilcoxon` or None as `test[side]`; they are changed in place.
        family: says to which family a test belongs.
    """
    families: dict[Hashable, list[dict]] = {}
    for test in tests:
        test[name] = float("nan")
        if test[side] is not None:
            families.setdefault(family(test), []).append(test)
    for members in families.values():
        adjusted = holm(np.array([test[side].p_value for test in members]))
        for test, value in zip(members, adjusted, strict=True):
            test[name] = float(value)


def over_datasets(differences: Sequence[float]) -> Wilcoxon | None:
    """A signed-rank test whose pairs are datasets; None of fewer than two.

    Each dataset counts once, whatever its size (Demšar, "Statistical Comparisons of Classifiers
    over Multiple Data Sets", JMLR 7, 2006).
    """
    known = np.array([value for value in differences if not np.isnan(value)])
    known = without_last_bits(known)
    return wilcoxon(known, "greater", ZERO_RULE) if len(known) > 1 else None
