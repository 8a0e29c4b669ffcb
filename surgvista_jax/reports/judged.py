"""What was true and what was predicted at each moment, whatever kind of labels is scored."""

from dataclasses import dataclass

import numpy as np

from surgvista_jax.facts.triplets import TABLES
from surgvista_jax.metrics.classification import criteria_truth
from surgvista_jax.metrics.protocols import CriteriaChoices, Protocol, TripletChoices
from surgvista_jax.predictions.frames import Predictions

THRESHOLD = 0.5  # from which score on a class of several counts as seen


@dataclass(frozen=True, eq=False)
class Judged:
    """One run, moment by moment, sorted by video and time.

    Attributes:
        videos: names.
        video_index: int [N], ascending.
        frame: int64 [N], at `fps`.
        classes: names.
        truth, found: int [N], one class a moment; or bool [N, C], several at once.
        score: float [N, C]; None where there are decisions alone.
    """

    videos: tuple[str, ...]
    video_index: np.ndarray
    frame: np.ndarray
    fps: float
    classes: tuple[str, ...]
    truth: np.ndarray
    found: np.ndarray
    score: np.ndarray | None

    @property
    def several(self) -> bool:
        """Whether a moment may have several classes."""
        return self.truth.ndim == 2

    @property
    def seconds(self) -> np.ndarray:
        """The time of each moment in its video, [N]."""
        return self.frame / self.fps

    def rows(self, video: int) -> slice:
        low, high = np.searchsorted(self.video_index, [video, video + 1])
        return slice(int(low), int(high))


def judge(predictions: Predictions, protocol: Protocol) -> Judged | None:
    """The moments of a run; None where it has no rate, so that there are no times.

    Nothing is forgiven here, neither near boundaries nor in idle frames.
    """
    label, found = predictions.label, predictions.decision
    choices = protocol.choices
    if label is None or not predictions.fps > 0:
        return None
    classes = predictions.classes
    if label.ndim == 2:
        if predictions.score is None:
            return None
        threshold = choices.threshold if isinstance(choices, CriteriaChoices) else THRESHOLD
        truth = criteria_truth(label) if isinstance(choices, CriteriaChoices) else label != 0
        found = predictions.score >= threshold
        if isinstance(choices, TripletChoices) and not classes:
            classes = tuple(map(str, TABLES[choices.table].class_names("ivt")))
    else:
        if found is None:
            return None
        truth = label
    if not classes:
        width = truth.shape[1] if truth.ndim == 2 else int(max(truth.max(), found.max())) + 1
        classes = tuple(map(str, range(width)))
    return Judged(
        videos=predictions.videos,
        video_index=predictions.video_index,
        frame=predictions.frame,
        fps=predictions.fps,
        classes=tuple(classes),
        truth=truth,
        found=found,
        score=predictions.score,
    )
