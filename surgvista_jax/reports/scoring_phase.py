"""Scores of the phases of videos."""

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics import averaging, phase, relaxed
from surgvista_jax.metrics import scores as make
from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.idle import forgive_idle
from surgvista_jax.metrics.protocols import PhaseChoices, Protocol, Relaxed
from surgvista_jax.metrics.scores import Rule, Score
from surgvista_jax.metrics.segments import edit_score, segment_counts_at, segmental_f1
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.reports.calibration_scores import with_calibration
from surgvista_jax.reports.evaluation import ClassTable, Evaluation, primary_first, video_rows

OVERLAPS = (10, 25, 50, 75, 90)  # percent


def evaluate(predictions: Predictions, protocol: Protocol) -> Evaluation:
    choices = protocol.choices
    assert isinstance(choices, PhaseChoices)
    rows = video_rows(predictions)
    pairs = _pairs(predictions, rows)
    if choices.idle is not None:
        pairs = [(label, forgive_idle(label, found, choices.idle)) for label, found in pairs]
    confusions = phase.confusion_matrices(pairs, len(predictions.classes))
    strict = _per_class(confusions, choices)
    strict_accuracy = phase.accuracies(confusions)
    notes = []
    if choices.relaxed:
        accuracy, table = _relaxed(predictions, rows, choices.relaxed)
        scores = _averages(accuracy, table, "", "")
        scores += _averages(strict_accuracy, strict, "strict_", "Strict: nothing forgiven")
    else:
        table = strict
        scores = _averages(strict_accuracy, strict, "", "")
    scores += [
        make.classes_then_videos(
            f"{name}_video", name.title(), values, section="Other order: phases, then videos"
        )
        for name, values in table.items()
    ]
    scores += _of_pairs(table)
    scores += _f1_of_means(scores, table)
    scores += _pooled(confusions, choices)
    edits, segments = _segments(pairs)
    scores += segments
    if "f1_edit" in protocol.primary:
        both = (nanmean(table["f1"], axis=1) + edits) / 2
        scores.append(make.mean_of_videos("f1_edit", "Macro F1 and edit score, mean", both))
    scores, reliability = with_calibration(scores, predictions, rows)
    present = confusions.sum(2) > 0
    if choices.idle is not None:
        present[:, choices.idle] = False
    undefined = int((present & np.isnan(table["precision"])).sum())
    if undefined:
        notes.append(
            f"Phases that a video holds and the model never predicts there: {undefined} cases; "
            "their precision is undefined and does not count."
        )
    false_alarms = int((~present & (confusions.sum(1) > 0)).sum())
    if false_alarms and choices.absent == "gt_only":
        notes.append(
            f"Phases predicted in a video that lacks them: {false_alarms} cases; they cost "
            "accuracy alone."
        )
    columns = {name.title(): nanmean(values, axis=0) for name, values in table.items()}
    columns["Jaccard std"] = averaging.nanstd(table["jaccard"], axis=0)
    columns["Videos"], columns["Frames"] = present.sum(0), confusions.sum((0, 2))
    per_phase = ClassTable(
        "Phases",
        predictions.classes,
        columns,
        ("Videos", "Frames"),
        "Means over videos" + (", relaxed" if choices.relaxed else "") + "; std over videos.",
    )
    scores = primary_first(scores, protocol.primary)
    return Evaluation(scores, [per_phase], confusions, reliability, notes)


def _pairs(predictions: Predictions, rows: list[slice]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Label and decision of each video."""
    label, decision = predictions.label, predictions.decision
    assert label is not None and decision is not None  # reading sees to it
    return [(label[r], decision[r]) for r in rows]


def _per_class(confusions: np.ndarray, choices: PhaseChoices) -> dict[str, np.ndarray]:
    """`phase.per_class`, without the class of idleness."""
    table = phase.per_class(confusions, choices.absent)
    if choices.idle is not None:
        scored = np.arange(confusions.shape[-1]) != choices.idle
        table = {name: np.where(scored, values, np.nan) for name, values in table.items()}
    return table


def _relaxed(
    predictions: Predictions, rows: list[slice], rules: Relaxed
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    found = []
    pairs = _pairs(predictions, rows)
    for name, r, (label, decision) in zip(predictions.videos, rows, pairs, strict=True):
        seconds = predictions.frame[r] / predictions.fps
        gaps = np.flatnonzero(np.diff(seconds) > 1.5)
        if len(gaps):
            raise UserError(
                f"{predictions.source}: {name} has no frame between {seconds[gaps[0]]:g} and "
                f"{seconds[gaps[0] + 1]:g} s; relaxed boundaries need every second"
            )
        scores = relaxed.relaxed_scores(
            label,
            decision,
            fps=1.0,
            dataset=rules.dataset,
            indexing=rules.indexing,
            early=rules.early,
            seconds=seconds,
            where=f"{predictions.source}: {name}",
        )
        found.append(scores.capped())
    table = {
        name: np.stack([getattr(video, name) for video in found])
        for name in ("precision", "recall", "jaccard")
    }
    return np.array([video.accuracy for video in found]), table


def _averages(accuracy: np.ndarray, table: dict, prefix: str, section: str) -> list[Score]:
    return [
        make.mean_of_videos(f"{prefix}accuracy", "Accuracy", accuracy, section=section),
        *(
            make.videos_then_classes(f"{prefix}{name}", name.title(), values, section=section)
            for name, values in table.items()
        ),
    ]


def _of_pairs(table: dict[str, np.ndarray]) -> list[Score]:
    section = "Mean over all pairs of video and phase"
    return [
        make.pairs(f"{name}_pairs", f"{name.title()}, all pairs", values, section=section)
        for name, values in table.items()
    ]


def _f1_of_means(scores: list[Score], table: dict[str, np.ndarray]) -> list[Score]:
    """F1 as published where mean precision and mean recall were combined, by kind of mean."""
    section = "F1 as the harmonic mean of mean precision and mean recall"
    by_key = {score.key: score for score in scores}
    kinds = {"": "videos, then phases", "_pairs": "all pairs"}
    found = [
        make.f1_of_means(
            f"f1_of_means{kind}",
            f"F1 of means, {words}",
            by_key[f"precision{kind}"],
            by_key[f"recall{kind}"],
            section=section,
        )
        for kind, words in kinds.items()
    ]
    means = (nanmean(table[name], axis=1) for name in ("precision", "recall"))
    each = phase.harmonic_mean(*means)
    title = "F1 of means of each video, mean over videos"
    return [*found, make.mean_of_videos("f1_of_means_video", title, each, section=section)]


def _pooled(confusions: np.ndarray, choices: PhaseChoices) -> list[Score]:
    section = "Frames of all videos together"
    hits = np.trace(confusions, axis1=1, axis2=2).astype(np.float64)
    frames = confusions.sum((1, 2)).astype(np.float64)
    scores = [
        make.ratio("accuracy_pooled", "Accuracy, frames pooled", hits, frames, section=section)
    ]

    def mean_of(name: str) -> Rule:
        return lambda sums: nanmean(_per_class(sums, choices)[name], -1)

    for name in phase.MEASURES:
        scores.append(
            make.of_sums(
                f"{name}_pooled",
                f"{name.title()}, frames pooled",
                confusions,
                mean_of(name),
                per_video=False,
                section=section,
            )
        )
    return scores


def _segments(
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, list[Score]]:
    """The edit score of each video, and the scores of segments: pooled, and means over videos."""
    section = "Order of phases, segment by segment"
    edits = np.array([edit_score(*pair) for pair in pairs])
    scores = [make.mean_of_videos("edit", "Edit score", edits, section=section)]
    shares = [percent / 100 for percent in OVERLAPS]
    counts = np.stack([segment_counts_at(*pair, shares) for pair in pairs])
    for k, percent in enumerate(OVERLAPS):
        key, title = f"f1_at_{percent}", f"F1@{percent}, segments of all videos pooled"
        scores.append(make.of_sums(key, title, counts[:, k], segmental_f1, section=section))
    for k, percent in enumerate(OVERLAPS):
        values, title = segmental_f1(counts[:, k]), f"F1@{percent}, mean over videos"
        scores.append(make.mean_of_videos(f"f1_at_{percent}_video", title, values, section=section))
    return edits, scores
