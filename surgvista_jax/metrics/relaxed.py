"""Scores of phases where the ten seconds around each boundary are forgiven.

The evaluation of the M2CAI 2016 workflow challenge, carried over to Cholec80 and used by most
papers on these two sets. In each unbroken stretch of a true phase, with t = min(10 s, its length):
within the first t frames a prediction of the phase before is forgiven ("late transition"), for the
last two phases also of the one before that; within the last t frames a prediction of the phase
after is forgiven ("early transition"), for some phases also of the one after that. Forgiven frames
count as right for every phase whose union of truth and prediction they lie in, so that precision
and recall may exceed 1.

Two things are in dispute and are arguments here:

* `indexing`: the published MATLAB script applies the condition found on the LAST t frames as a
  logical index, which marks the FIRST t frames instead. "published" repeats that, frame for frame;
  "intended" forgives where the comment of the script says.
* `early`: copies of the script differ in the last two phases: "two_ahead" forgives one or two
  phases ahead there, "one_ahead" only one. Two phases ahead of the last two lies outside the label
  set, so with legal labels the two rules agree (a test shows it); the argument exists so that a
  report can name the one it used.
"""

from dataclasses import dataclass

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.facts.phases import CHOLEC80, M2CAI16
from surgvista_jax.metrics.averaging import divide
from surgvista_jax.metrics.sampling import check_fps, check_labels
from surgvista_jax.metrics.segments import runs

WINDOW_SECONDS = 10
INDEXINGS = ("published", "intended")
EARLY_RULES = ("two_ahead", "one_ahead")
# Dataset -> number of phases. In each the last two phases may also be entered from two phases
# before, and the two in front of them may be left for two phases ahead.
NUM_PHASES = {"cholec80": len(CHOLEC80), "m2cai16": len(M2CAI16)}


@dataclass(frozen=True)
class RelaxedScores:
    """One video; fractions, NaN for a phase that the truth lacks, not yet capped at 1."""

    accuracy: float
    jaccard: np.ndarray  # [C]
    precision: np.ndarray  # [C] NaN for 0/0; infinite if a phase never predicted was forgiven
    recall: np.ndarray  # [C]

    def capped(self) -> "RelaxedScores":
        """Values above 1 set to 1, as published, before any averaging."""
        return RelaxedScores(
            self.accuracy,
            *(np.minimum(values, 1.0) for values in (self.jaccard, self.precision, self.recall)),
        )


def forgiven_difference(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    window: int,
    num_phases: int,
    indexing: str,
    early: str,
) -> np.ndarray:
    """prediction - truth, int [n], with 0 where a frame is right or forgiven.

    Args:
        window: number of frames at each end of a stretch in which a transition is forgiven.
    """
    difference = prediction - truth
    last_two = (num_phases - 2, num_phases - 1)
    may_skip_one = (num_phases - 4, num_phases - 3) + (last_two if early == "two_ahead" else ())
    for phase, start, end in zip(*runs(truth), strict=True):
        stretch = difference[start:end]  # a view: writing to it changes `difference`
        size = min(window, len(stretch))
        late = (stretch[:size] == -1) | ((stretch[:size] == -2) & (phase in last_two))
        stretch[:size][late] = 0
        tail = stretch[len(stretch) - size :]
        soon = (tail == 1) | ((tail == 2) & (phase in may_skip_one))
        (stretch[:size] if indexing == "published" else tail)[soon] = 0
    return difference


def relaxed_scores(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    fps: float,
    dataset: str,
    indexing: str = "published",
    early: str = "two_ahead",
    seconds: np.ndarray | None = None,
    where: str = "video",
) -> RelaxedScores:
    """Relaxed accuracy, Jaccard, precision and recall of one video.

    Args:
        truth, prediction: int [n], 0-based phases.
        fps: frames a second of these arrays. With 25 on labels at 1 fps the window grows from 10 to
            250 s and the scores with it, so it must be given and `seconds` are held against it.
        dataset: "cholec80" (7 phases) or "m2cai16" (8); the rule is defined for no other.
        seconds: [n] time stamps, if known.
    """
    if dataset not in NUM_PHASES:
        raise UserError(f"dataset={dataset!r}; relaxed rules exist for {', '.join(NUM_PHASES)}")
    if indexing not in INDEXINGS or early not in EARLY_RULES:
        raise UserError(
            f"indexing={indexing!r}, early={early!r}; choose of {INDEXINGS} and of {EARLY_RULES}"
        )
    num_phases = NUM_PHASES[dataset]
    truth, prediction = check_labels(truth, prediction, num_phases, where)
    check_fps(np.zeros(1) if seconds is None else seconds, fps, where)
    window = round(WINDOW_SECONDS * fps)
    if window < 1:
        raise UserError(f"{where}: fps {fps:g} puts no frame into {WINDOW_SECONDS} s")
    right = (
        forgiven_difference(
            truth,
            prediction,
            window=window,
            num_phases=num_phases,
            indexing=indexing,
            early=early,
        )
        == 0
    )
    phases = np.arange(num_phases)[:, None]
    in_truth, predicted = truth == phases, prediction == phases  # [C, n]
    either = in_truth | predicted
    hits = (either & right).sum(1).astype(np.float64)
    count_truth, count_predicted = in_truth.sum(1), predicted.sum(1)
    precision = divide(hits, count_predicted)
    precision[(count_predicted == 0) & (hits > 0)] = np.inf
    present = count_truth > 0
    return RelaxedScores(
        accuracy=float(right.mean()),
        jaccard=np.where(present, divide(hits, either.sum(1)), np.nan),
        precision=np.where(present, precision, np.nan),
        recall=np.where(present, divide(hits, count_truth), np.nan),
    )
