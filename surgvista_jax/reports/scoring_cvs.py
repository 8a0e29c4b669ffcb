"""Scores of the criteria of the critical view of safety."""

import numpy as np

from surgvista_jax.metrics import classification
from surgvista_jax.metrics import scores as make
from surgvista_jax.metrics.average_precision import average_precisions
from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.protocols import Protocol
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.reports.evaluation import ClassTable, Evaluation, primary_first, video_rows


def evaluate(predictions: Predictions, protocol: Protocol) -> Evaluation:
    threshold = protocol.choices.threshold
    rows = video_rows(predictions)
    truth, score = classification.criteria_truth(predictions.label), predictions.score
    of_videos = np.stack([average_precisions(truth[r], score[r]) for r in rows])
    found = score >= threshold
    counts = np.stack([classification.criteria_counts(truth[r], found[r]) for r in rows])
    scores = [
        make.pooled_average_precision(
            "mean_ap",
            "mAP, frames pooled",
            truth,
            score,
            predictions.video_index,
            absent="drop",
        ),
        make.videos_then_classes("mean_ap_video", "mAP, mean over videos", of_videos),
    ]
    pooled = classification.criteria_rates(counts.sum(0))
    for name in pooled:
        scores.append(
            make.of_sums(
                name,
                f"{name.title()} at {threshold:g}",
                counts,
                lambda c, name=name: nanmean(classification.criteria_rates(c)[name], axis=-1),
                per_video=name == "accuracy",
            )
        )
    columns = {
        "AP": average_precisions(truth, score),
        **{name.title(): values for name, values in pooled.items()},
        "True frames": truth.sum(0),
        "Frames": np.full(truth.shape[1], len(truth)),
    }
    names = predictions.classes
    table = ClassTable("Criteria", names, columns, ("True frames", "Frames"), "All frames pooled.")
    return Evaluation(primary_first(scores, protocol.primary), [table])
