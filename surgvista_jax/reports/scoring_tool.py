"""Scores of the presence of instruments."""

import numpy as np

from surgvista_jax.metrics import classification
from surgvista_jax.metrics.average_precision import average_precisions
from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.protocols import PresenceChoices, Protocol
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.reports.average_precision_scores import mean_average_precisions
from surgvista_jax.reports.evaluation import ClassTable, Evaluation, primary_first, video_rows


def evaluate(predictions: Predictions, protocol: Protocol) -> Evaluation:
    choices = protocol.choices
    assert isinstance(choices, PresenceChoices)
    rows = video_rows(predictions)
    label, score, classes = predictions.label, predictions.score, predictions.classes
    assert label is not None and score is not None  # reading sees to it
    truth = classification.presence_truth(label, predictions.source)
    scores, of_videos = mean_average_precisions(truth, score, rows, choices.absent)
    table = ClassTable(
        "Instruments",
        classes,
        {
            "AP": average_precisions(truth, score),
            "AP, mean over videos": nanmean(of_videos, axis=0),
            "Videos": np.sum([truth[r].any(0) for r in rows], axis=0),
            "Frames with it": truth.sum(0),
            "Frames": np.full(len(classes), len(truth)),
        },
        ("Videos", "Frames with it", "Frames"),
        "AP over the frames of all videos together; the mean is over the videos that hold it.",
    )
    notes = []
    never = [classes[k] for k in np.flatnonzero(~truth.any(0))]
    if never:
        rule = {"drop": "do not count", "zero": "count as 0"}[choices.absent]
        notes.append(f"In no frame: {', '.join(never)}; without an average precision they {rule}.")
    return Evaluation(primary_first(scores, protocol.primary), [table], notes=notes)
