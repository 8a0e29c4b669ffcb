"""A model against a baseline: whether it is better, as far as these videos can show."""

from dataclasses import dataclass, replace

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.averaging import divide
from surgvista_jax.metrics.intervals import Draws, Interval, interval
from surgvista_jax.metrics.scores import Score, gain
from surgvista_jax.metrics.statistics import Wilcoxon, holm, wilcoxon, without_last_bits
from surgvista_jax.predictions.frames import Predictions

ZERO_RULE = "wilcox"
NO_COMMON = "no common videos"  # that both have a value of


@dataclass(frozen=True)
class Comparison:
    """One score against one baseline; signs are such that positive means that we are better."""

    baseline: str
    key: str
    title: str
    percent: bool
    ours: float
    theirs: float
    difference: Interval
    one_sided: Wilcoxon | None  # None where nothing can be paired
    two_sided: Wilcoxon | None
    untested: str  # why; "" of a test, and of a score that has no value per video
    holm_one_sided: float = float("nan")
    holm_two_sided: float = float("nan")


def check_same_frames(ours: Predictions, theirs: Predictions) -> None:
    """Raises UserError unless both judge the same frames against the same truth."""
    where = f"{theirs.source} and {ours.source}"
    if ours.videos != theirs.videos:
        odd = sorted(set(ours.videos) ^ set(theirs.videos))
        raise UserError(f"{where} differ in videos, the first {odd[0]}; both need the same")
    assert ours.label is not None and theirs.label is not None
    for number, video in enumerate(ours.videos):
        a, b = ours.rows(number), theirs.rows(number)
        seconds_a, seconds_b = ours.frame[a] / ours.fps, theirs.frame[b] / theirs.fps
        if len(seconds_a) != len(seconds_b) or np.abs(seconds_a - seconds_b).max() > 0.5:
            raise UserError(
                f"{where} differ in the frames of {video} ({b.stop - b.start} and "
                f"{a.stop - a.start}); both need the same"
            )
        if not np.array_equal(ours.label[a], theirs.label[b]):
            raise UserError(f"{where} differ in the ground truth of {video}; both need the same")


def of_units(differences: np.ndarray, cluster: np.ndarray | None) -> np.ndarray:
    """Differences of videos [V] as those of what is paired, [U]; NaN where none is defined.

    Args:
        cluster: int [V], the patient of each video, from 0; None where videos are paired.
    """
    if cluster is None:
        return differences
    defined = ~np.isnan(differences)
    sums = np.bincount(cluster, np.where(defined, differences, 0))
    return divide(sums, np.bincount(cluster, defined))


def compare(
    baseline: str, ours: Score, theirs: Score, draws: Draws, cluster: np.ndarray | None
) -> Comparison:
    """Differences under the same drawn videos, and a signed-rank test over videos (or patients)."""
    sign = 1.0 if ours.higher_is_better else -1.0
    ones = np.ones((1, len(draws.unit)))
    a, b = float(ours.of_weights(ones)[0]), float(theirs.of_weights(ones)[0])
    one_sided, two_sided, untested = None, None, ""
    if ours.per_video is not None and theirs.per_video is not None:
        differences = sign * (ours.per_video - theirs.per_video)
        differences = without_last_bits(of_units(differences, cluster))
        if np.isnan(differences).all():  # no test, which would count in Holm's family
            untested = NO_COMMON
        else:
            one_sided = wilcoxon(differences, "greater", ZERO_RULE)
            two_sided = wilcoxon(differences, "two-sided", ZERO_RULE)
    weighted, bounds = gain(ours, theirs)
    return Comparison(
        baseline,
        ours.key,
        ours.title,
        ours.percent,
        a,
        b,
        interval(weighted, draws, bounds),
        one_sided,
        two_sided,
        untested,
    )


def adjusted(comparisons: list[Comparison]) -> list[Comparison]:
    """Holm's adjustment over all tests of a report, one-sided and two-sided apart."""
    tested = [
        (k, item.one_sided.p_value, item.two_sided.p_value)
        for k, item in enumerate(comparisons)
        if item.one_sided is not None and item.two_sided is not None
    ]
    if not tested:
        return comparisons
    one = holm(np.array([p_value for _, p_value, _ in tested]))
    two = holm(np.array([p_value for _, _, p_value in tested]))
    result = list(comparisons)
    for position, (k, _, _) in enumerate(tested):
        result[k] = replace(
            result[k], holm_one_sided=float(one[position]), holm_two_sided=float(two[position])
        )
    return result
