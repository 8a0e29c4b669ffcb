"""Scores of action triplets and their components."""

from collections.abc import Sequence

import numpy as np

from surgvista_jax.facts.triplets import TABLES
from surgvista_jax.metrics import scores as make
from surgvista_jax.metrics import triplet
from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.protocols import Protocol, TripletChoices, video_number
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.reports.evaluation import ClassTable, Evaluation, primary_first, video_rows


def evaluate(predictions: Predictions, protocol: Protocol) -> Evaluation:
    choices = protocol.choices
    assert isinstance(choices, TripletChoices)
    table = TABLES[choices.table]
    rows = video_rows(predictions)
    assert predictions.label is not None and predictions.score is not None
    truth, score = triplet.check_triplets(
        predictions.label, predictions.score, table, predictions.source
    )
    videos = [(truth[r], score[r]) for r in rows]
    scores, tables, values = [], [], {}
    for name in triplet.COMPONENTS:
        values[name] = triplet.video_average_precisions(
            videos, table, name, absent=choices.absent, null_classes=choices.null_classes
        )
        scores.append(
            make.videos_then_classes(
                f"ap_{name}", f"AP {name.upper()}, {triplet.COMPONENT_NAMES[name]}", values[name]
            )
        )
        counted = triplet.counted_classes(table, name, choices.null_classes)
        held = [triplet.component(video, table, name)[:, counted] for video, _ in videos]
        names = np.array(table.class_names(name))[counted]
        tables.append(
            ClassTable(
                f"{triplet.COMPONENT_NAMES[name].capitalize()} classes",
                tuple(str(word) for word in names),
                {
                    "AP": nanmean(values[name], axis=0),
                    "Videos": np.sum([video.any(0) for video in held], axis=0),
                    "Frames": np.sum([video.sum(0) for video in held], axis=0),
                },
                ("Videos", "Frames"),
                "Means over the videos that hold the class.",
            )
        )
    section = "Other conventions, for comparison"
    counted = triplet.counted_classes(table, "ivt", choices.null_classes)
    scores.append(
        make.pooled_average_precision(
            "global_ap_ivt",
            "AP IVT, frames of all videos pooled",
            truth[:, counted],
            score[:, counted],
            predictions.video_index,
            absent=choices.absent,
            section=section,
        )
    )
    scores.append(
        make.videos_then_classes(
            "zero_ap_ivt",
            "AP IVT, absent classes counted as 0",
            np.nan_to_num(values["ivt"]),
            section=section,
        )
    )
    for k in (5, 10, 20):
        hits, total = triplet.top_k_counts(truth, score, k)
        sums = np.array([[hits[r].sum(), total[r].sum()] for r in rows], np.float64)
        title = f"Top-{k}, triplets among the {k} highest"
        scores.append(make.ratio(f"top{k}", title, *sums.T, section=section))
    notes = []
    folds = _folds(predictions.videos, choices.folds)
    if folds is not None:
        ap = values["ivt"]
        scores.append(make.mean_of_folds("ap_ivt_folds", "AP IVT, mean of the folds", ap, folds))
        each = [triplet.mean_average_precision(ap[folds == k]) for k in np.unique(folds)]
        listed = ", ".join(f"{100 * value:.2f}" for value in each)
        spread = 100 * np.std(each, ddof=1)
        notes.append(f"AP IVT of the folds in percent: {listed}; standard deviation {spread:.2f}.")
    return Evaluation(primary_first(scores, protocol.primary), tables[::-1], notes=notes)


def _folds(videos: Sequence[str], folds: Sequence[Sequence[int]]) -> np.ndarray | None:
    """The fold of each video, int [V]; None unless they are the videos of all folds."""
    fold_of = {number: k for k, numbers in enumerate(folds) for number in numbers}
    numbers = [video_number(video) for video in videos]
    if not folds or len(numbers) != len(fold_of) or set(numbers) != fold_of.keys():
        return None
    return np.array([fold_of[number] for number in numbers if number is not None])
