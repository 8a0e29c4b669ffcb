"""Average precision of classes that are each there or not, as scores of a report."""

from collections.abc import Sequence

import numpy as np

from surgvista_jax.metrics import scores as make
from surgvista_jax.metrics.average_precision import average_precisions
from surgvista_jax.metrics.scores import Score


def mean_average_precisions(
    truth: np.ndarray, score: np.ndarray, rows: Sequence[slice], absent: str
) -> tuple[list[Score], np.ndarray]:
    """mAP over the frames of all videos together, and the mean of each video's.

    Args:
        truth, score: [N, C], the videos one after the other.
        rows: of each video, [V].
        absent: of classes that no frame holds, one of `average_precision.ABSENT_RULES`.

    Returns:
        The two scores, and the average precision of each video and class, [V, C].
    """
    video = np.repeat(np.arange(len(rows)), [r.stop - r.start for r in rows])
    of_videos = np.stack([average_precisions(truth[r], score[r]) for r in rows])
    pooled = make.pooled_average_precision(
        "mean_ap", "mAP, frames pooled", truth, score, video, absent=absent
    )
    by_video = make.videos_then_classes("mean_ap_video", "mAP, mean over videos", of_videos)
    return [pooled, by_video], of_videos
