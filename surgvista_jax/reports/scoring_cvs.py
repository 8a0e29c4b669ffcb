"""Scores of the criteria of the critical view of safety."""

import numpy as np

from surgvista_jax.metrics import classification
from surgvista_jax.metrics import scores as make
from surgvista_jax.metrics.average_precision import average_precisions
from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.protocols import CriteriaChoices, Protocol
from surgvista_jax.metrics.scores import Rule
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.reports.average_precision_scores import mean_average_precisions
from surgvista_jax.reports.evaluation import ClassTable, Evaluation, primary_first, video_rows


def evaluate(predictions: Predictions, protocol: Protocol) -> Evaluation:
    choices = protocol.choices
    assert isinstance(choices, CriteriaChoices)
    threshold = choices.threshold
    rows = video_rows(predictions)
    label, score = predictions.label, predictions.score
    assert label is not None and score is not None  # reading sees to it
    truth = classification.criteria_truth(label)
    found = score >= threshold
    counts = np.stack([classification.criteria_counts(truth[r], found[r]) for r in rows])
    scores, _ = mean_average_precisions(truth, score, rows, absent="drop")
    pooled = classification.criteria_rates(counts.sum(0))
    for name in pooled:
        scores.append(
            make.of_sums(
                name,
                f"{name.title()} at {threshold:g}",
                counts,
                _mean_of(name),
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


def _mean_of(name: str) -> Rule:
    """The mean over criteria of one of their rates."""
    return lambda sums: nanmean(classification.criteria_rates(sums)[name], axis=-1)
