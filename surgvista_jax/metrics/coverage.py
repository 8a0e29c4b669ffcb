"""How often the intervals of `metrics.intervals` hold the truth, on made-up operations.

Operations are drawn from a population whose true scores are known from very many of them. As in
test sets of surgery, most videos score high and some far lower, videos differ in length, lack
phases, and those of one patient resemble one another; on request one operation in twenty goes
wrong altogether. Two models share the difficulty of each operation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from surgvista_jax.metrics import phase
from surgvista_jax.metrics import scores as make
from surgvista_jax.metrics.average_precision import average_precisions
from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.intervals import draw, interval
from surgvista_jax.metrics.scores import Score

NUM_PHASES = 7
NUM_CLASSES = 2  # of those that are ranked, each there or not
FRAMES = 30  # of a video, that are ranked
MANY = 5_000  # patients, whose scores are the population's
_ODDS = (2.4, 1.9)  # of a right frame in an ordinary operation, log, of our model and a baseline
_PHASE_ODDS = np.linspace(0.6, -0.6, NUM_PHASES)
FAILING = 0.05


@dataclass(frozen=True)
class Operations:
    """What two models make of a sample of operations.

    Attributes:
        patient: int [V], from 0.
        confusions: of each model, float64 [2, V, C, C].
        truth, ranking: [V, FRAMES, NUM_CLASSES], classes that are there or not, and our scores.
    """

    patient: np.ndarray
    confusions: np.ndarray
    truth: np.ndarray
    ranking: np.ndarray


def operations(
    patients: int, generator: np.random.Generator, *, several: bool = False, failing: float = 0.0
) -> Operations:
    """Draws patients and their operations.

    Args:
        several: whether patients have one to three videos instead of one.
        failing: share of operations of which either model recognises little.
    """
    videos = generator.integers(1, 4, patients) if several else np.ones(patients, np.int64)
    patient = np.repeat(np.arange(patients), videos)
    num = len(patient)
    ease = generator.normal(0, 0.6, patients)[patient] + generator.normal(0, 0.5, num)
    ease -= 2.5 * (generator.random(num) < failing)
    frames = generator.lognormal(np.log(200), 0.4, (num, NUM_PHASES)).astype(np.int64) + 1
    frames[:, -1] *= generator.random(num) > 0.1  # a phase that some operations lack
    confusions = np.stack([_confusions(ease + odds, frames, generator) for odds in _ODDS])
    share = generator.beta(1.5, 3, (num, 1, NUM_CLASSES))
    truth = generator.random((num, FRAMES, NUM_CLASSES)) < share
    signal = truth * np.maximum(1.5 + ease, 0)[:, None, None]
    ranking = signal + generator.normal(size=truth.shape)
    return Operations(patient, confusions, truth, ranking)


def _confusions(odds: np.ndarray, frames: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Counts [V, C, C] of videos with these log odds of a right frame [V] and frames [V, C]."""
    odds = odds[:, None] + _PHASE_ODDS + generator.normal(0, 0.5, frames.shape)
    right = generator.binomial(frames, 1 / (1 + np.exp(-odds)))
    before = generator.binomial(frames - right, 0.5)
    found = np.zeros((*frames.shape, NUM_PHASES))
    here = np.arange(NUM_PHASES)
    for column, counts in ((here, right), (here - 1, before), (here + 1, frames - right - before)):
        inside = np.clip(np.where(column < 0, 1, column), 0, NUM_PHASES - 1)
        inside = np.where(column == NUM_PHASES, NUM_PHASES - 2, inside)
        found[:, here, inside] += counts
    return found


def scores(sample: Operations, model: int = 0) -> dict[str, Score]:
    """A mean of videos, a mean of videos and phases, and pooled scores of one model."""
    confusions = sample.confusions[model]
    hits = np.trace(confusions, axis1=1, axis2=2)

    def pooled_f1(sums: np.ndarray) -> np.ndarray:
        return nanmean(phase.per_class(sums, "gt_only")["f1"], axis=-1)

    jaccard = phase.per_class(confusions, "gt_only")["jaccard"]
    return {
        score.key: score
        for score in (
            make.mean_of_videos("accuracy", "Accuracy", phase.accuracies(confusions)),
            make.videos_then_classes("jaccard", "Jaccard", jaccard),
            make.ratio("accuracy_pooled", "Accuracy, pooled", hits, confusions.sum((1, 2))),
            make.of_sums("f1_pooled", "F1, pooled", confusions, pooled_f1),
        )
    }


def mean_average_precision(sample: Operations) -> Score:
    """Pooled over the frames of all videos."""
    flat = (-1, NUM_CLASSES)
    video = np.repeat(np.arange(len(sample.patient)), FRAMES)
    return make.pooled_average_precision(
        "mean_ap",
        "mAP, pooled",
        sample.truth.reshape(flat),
        sample.ranking.reshape(flat),
        video,
        absent="drop",
    )


TITLES = {
    "accuracy": "accuracy, mean over videos",
    "jaccard": "Jaccard, over videos, then phases",
    "accuracy_pooled": "accuracy, frames pooled",
    "f1_pooled": "macro F1, frames pooled",
    "mean_ap": "mAP, frames pooled",
    "accuracy_gain": "gain in accuracy over a baseline",
    "f1_pooled_gain": "gain in pooled macro F1",
}


def coverage(
    patients: int,
    *,
    several: bool,
    failing: float,
    repetitions: int,
    seed: int,
    samples: int = 400,
    every: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Share of samples of so many patients whose 95 % interval holds the population's score.

    Args:
        several, failing: as of `operations`.
        samples: draws of each interval.
        every: called after each sample.

    Returns:
        The share of each score of TITLES.
    """
    many = operations(
        MANY, np.random.default_rng([seed, patients, several]), several=several, failing=failing
    )
    true = {name: found.value() for name, found in scores(many).items()}
    base = {name: found.value() for name, found in scores(many, 1).items()}
    flat = (-1, NUM_CLASSES)
    ap = average_precisions(many.truth.reshape(flat), many.ranking.reshape(flat))
    true["mean_ap"] = float(nanmean(ap))
    for name in ("accuracy", "f1_pooled"):
        true[f"{name}_gain"] = true[name] - base[name]
    held = {name: 0 for name in TITLES}
    for repetition in range(repetitions):
        generator = np.random.default_rng([seed, patients, several, repetition + 1])
        sample = operations(patients, generator, several=several, failing=failing)
        draws = draw(len(sample.patient), samples, repetition, cluster=sample.patient)
        ours, theirs = scores(sample), scores(sample, 1)
        of = {name: (found.of_weights, found.bounds) for name, found in ours.items()}
        ranked = mean_average_precision(sample)
        of["mean_ap"] = ranked.of_weights, ranked.bounds
        for name in ("accuracy", "f1_pooled"):
            of[f"{name}_gain"] = make.gain(ours[name], theirs[name])
        for name, (weighted, bounds) in of.items():
            found = interval(weighted, draws, bounds)
            held[name] += found.low <= true[name] <= found.high
        every()
    return {name: count / repetitions for name, count in held.items()}
