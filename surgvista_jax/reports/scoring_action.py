"""Scores of actions: single labels where all clips count alike."""

import numpy as np

from surgvista_jax.metrics import classification, phase
from surgvista_jax.metrics import scores as make
from surgvista_jax.metrics.protocols import Protocol, SingleChoices
from surgvista_jax.metrics.scores import Rule
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.reports.calibration_scores import with_calibration
from surgvista_jax.reports.evaluation import ClassTable, Evaluation, primary_first, video_rows


def evaluate(predictions: Predictions, protocol: Protocol) -> Evaluation:
    choices = protocol.choices
    assert isinstance(choices, SingleChoices)
    rows = video_rows(predictions)
    label, decision, classes = predictions.label, predictions.decision, predictions.classes
    assert label is not None and decision is not None  # reading sees to it
    confusions = phase.confusion_matrices([(label[r], decision[r]) for r in rows], len(classes))
    sizes = np.array([r.stop - r.start for r in rows], np.float64)
    hits = np.trace(confusions, axis1=1, axis2=2).astype(np.float64)
    scores = [make.ratio("accuracy", "Accuracy", hits, sizes)]
    columns = {}
    if predictions.score is not None:
        truth = classification.one_hot(label, len(classes))
        scores.append(
            make.pooled_average_precision(
                "mean_ap",
                "mAP, one against the rest",
                truth,
                predictions.score,
                predictions.video_index,
                absent=choices.absent,
            )
        )
        columns["AP"] = classification.one_vs_rest_average_precisions(label, predictions.score)
        for k in (k for k in (3, 5) if k < len(classes)):
            right = classification.top_k_hits(label, predictions.score, k)
            found = np.array([right[r].sum() for r in rows], np.float64)
            scores.append(make.ratio(f"top{k}", f"Top-{k} accuracy", found, sizes))
    scores.append(
        make.of_sums(
            "balanced_accuracy",
            "Balanced accuracy",
            confusions,
            classification.balanced_accuracy,
            per_video=False,
        )
    )
    for name in phase.MEASURES:
        scores.append(
            make.of_sums(
                name,
                f"Macro {name if name != 'f1' else 'F1'}",
                confusions,
                _macro(name, choices.macro_absent),
                per_video=False,
            )
        )
    scores, reliability = with_calibration(scores, predictions, rows)
    pooled = confusions.sum(0)
    table = phase.per_class(pooled, choices.macro_absent)
    columns |= {name.title(): table[name] for name in phase.MEASURES}
    columns["Frames"] = pooled.sum(1)
    per_class = ClassTable("Classes", classes, columns, ("Frames",), "All frames pooled.")
    scores = primary_first(scores, protocol.primary)
    return Evaluation(scores, [per_class], confusions, reliability)


def _macro(name: str, absent: str) -> Rule:
    """The mean over classes of one of `phase.MEASURES`."""
    return lambda sums: classification.macro(sums, absent)[name]
