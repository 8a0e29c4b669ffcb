"""The labels of predicted frames from files of ground truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near
from surgvista_jax.metrics.protocols import video_number
from surgvista_jax.predictions.frames import Predictions, at_rate


def with_truth(
    predictions: Predictions, truth: Predictions, rate: float | None, missing: str
) -> Predictions:
    """Labels from ground truth, matched by video name (or number) and time.

    Args:
        rate: frames a second to compare at (None: the slower of the two).
        missing: "error" unless the frames of each predicted video and of its truth are the same, or
            "drop" what either lacks. A truth without predictions is left out and noted: folders of
            ground truth often hold the training videos too.
    """
    predictions, partner, notes = partners(predictions, truth, missing)
    check_durations(predictions, truth, partner)
    rate = rate or min(predictions.fps, truth.fps)
    predictions, truth = at_rate(predictions, rate), at_rate(truth, rate)
    true_labels = truth.label if truth.decision is None else truth.decision
    assert true_labels is not None
    keep, labels, left_out = [], [], 0
    for video, name in enumerate(predictions.videos):
        rows, true_rows = predictions.rows(video), truth.rows(partner[video])
        ticks = np.rint(predictions.frame[rows] / predictions.fps * rate).astype(np.int64)
        true_ticks = np.rint(truth.frame[true_rows] / truth.fps * rate).astype(np.int64)
        position = np.searchsorted(true_ticks, ticks)
        found = np.zeros(len(ticks), bool)
        inside = position < len(true_ticks)
        found[inside] = true_ticks[position[inside]] == ticks[inside]
        absent = int(np.count_nonzero(~np.isin(true_ticks, ticks)) + np.count_nonzero(~found))
        if absent and missing == "error":
            raise UserError(
                f"{name}: {counted(len(ticks), 'predicted frame')} but"
                f" {counted(len(true_ticks), 'frame')} of ground "
                f"truth at {rate:g} a second, {absent} without a partner; --missing=drop scores "
                "the common ones"
            )
        left_out += absent
        keep.append(np.flatnonzero(found) + rows.start)
        labels.append(true_labels[true_rows][position[found]])
    kept = predictions.take(np.concatenate(keep))
    notes += kept.notes
    if left_out:
        notes += (
            f"{counted(left_out, 'frame was', 'frames were')} left out: predicted or in the"
            " truth, but not both",
        )
    label = np.concatenate(labels)
    kept = replace(kept, label=label, notes=notes)
    if label.ndim == 1:  # whose unlabelled frames are left out with those of any file
        return kept
    known = np.asarray((label >= 0).all(1))
    count = int(np.count_nonzero(~known))
    if not count:
        return kept
    lost = counted(count, "unlabelled frame was", "unlabelled frames were")
    return kept.take(known, f"{lost} left out")


def partners(
    predictions: Predictions, truth: Predictions, missing: str
) -> tuple[Predictions, list[int], tuple[str, ...]]:
    """The predictions that have a truth, the number of each video's truth, and what to note."""
    by_name = {name: index for index, name in enumerate(truth.videos)}
    numbers = [video_number(name) for name in truth.videos]
    partner, alone = {}, []
    for index, name in enumerate(predictions.videos):
        number = video_number(name)
        if name in by_name:
            partner[index] = by_name[name]
        elif number is not None and numbers.count(number) == 1:
            partner[index] = numbers.index(number)
        else:
            alone.append(name)
    if alone and (missing == "error" or not partner):
        said = near(alone[0], truth.videos) + _where_it_would_be(Path(truth.source), alone[0])
        if partner:
            said += f"; --missing=drop leaves {_listed(alone)} out"
        raise UserError(f"{truth.source}: no ground truth for {alone[0]}{said}")
    notes: tuple[str, ...] = ()
    if alone:
        predictions = predictions.take(np.isin(predictions.video_index, list(partner)))
        notes += (f"{_listed(alone)} left out: no ground truth in {truth.source}",)
    spare = [name for k, name in enumerate(truth.videos) if k not in partner.values()]
    if spare:
        notes += (f"{_listed(spare)} of {truth.source} left out: not predicted",)
    return predictions, list(partner.values()), notes


def _where_it_would_be(source: Path, video: str) -> str:
    if source.is_dir():
        ending = ".csv" if any(source.rglob("*.csv")) else ".txt"
        return f"; expected is {source / video}{ending}"
    return f"; lines of {video} are expected" if source.suffix.lower() in (".csv", ".tsv") else ""


def _listed(videos: list[str]) -> str:
    if len(videos) == 1:
        return f"1 video ({videos[0]})"
    first = f"{videos[0]}{', …' if len(videos) > 2 else ','}"
    return f"{counted(len(videos), 'video')} ({first} {videos[-1]})"


def check_durations(predictions: Predictions, truth: Predictions, partner: list[int]) -> None:
    """A wrong fps shows as videos of another length than their truth."""
    for video, name in enumerate(predictions.videos):
        last = predictions.frame[predictions.rows(video)][-1]
        true_last = truth.frame[truth.rows(partner[video])][-1]
        lasts, true_lasts = last / predictions.fps, true_last / truth.fps
        if abs(lasts - true_lasts) > max(2.0, 0.05 * true_lasts):
            raise UserError(
                f"{name}: at fps {predictions.fps:g} the predictions last {lasts:.0f} s, at fps "
                f"{truth.fps:g} the ground truth {true_lasts:.0f} s; check --fps and --truth-fps"
            )
