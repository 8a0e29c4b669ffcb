"""Predictions of several videos one after the other, which do not say where each begins.

Published predictions come so: one long text file, or arrays without the names of videos. Where the
videos begin is told by their ground truth or by a file of lengths; without either they are scored
as one sequence, as some published tables did, if the user says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.data.labels.tables import read_lines
from surgvista_jax.errors import UserError
from surgvista_jax.facts.whole_numbers import whole
from surgvista_jax.metrics.protocols import Split, video_number
from surgvista_jax.metrics.sampling import sampling_rate
from surgvista_jax.predictions.frames import Predictions, at_rate, natural_order

ONE = "none"  # instead of a file of lengths: there are no boundaries
BY_TRUTH = "truth"


def is_text_file(path: Path) -> bool:
    """Whether a path is a single file of the text layout."""
    return path.is_file() and path.name.removesuffix(".gz").endswith(".txt")


def separate(
    found: Predictions, truth: Predictions | None, boundaries: str, splits: Sequence[Split]
) -> tuple[Predictions, Predictions | None]:
    """The predictions of each video, and its ground truth.

    Args:
        found: of one sequence.
        truth: of videos, or of the same sequence; None where `found` holds labels.
        boundaries: ONE, BY_TRUTH, or the path of a CSV file with lines `video,frames`.
        splits: test videos on record, which the sequence may be where the truth holds more.
    """
    if len(found.videos) != 1:
        raise UserError(
            f"{found.source}: tells its {counted(len(found.videos), 'video')} apart; --boundaries"
            " is for "
            "predictions that do not"
        )
    alone = truth is not None and len(truth.videos) == 1
    if boundaries == ONE:
        if truth is None:
            return found, None
        if not alone:
            raise UserError(
                f"--boundaries=none: {truth.source} holds {counted(len(truth.videos), 'video')};"
                " one sequence "
                "needs a ground truth of one sequence (or --boundaries=truth)"
            )
        return found, replace(truth, videos=found.videos)
    if boundaries == BY_TRUTH:
        named = truth is not None and _same_video(found.videos[0], truth.videos)
        if truth is None or (alone and not named):
            raise UserError(
                f"{found.source}: where its videos begin is not known; give --truth FOLDER with "
                "one file a video, --boundaries FILE with lines video,frames, or --boundaries=none "
                "to score it as one sequence"
            )
        if named:
            return found, truth
        return _cut_by_truth(found, truth, splits)
    lengths = read_lengths(Path(boundaries))
    if alone and truth is not None:
        truth = _cut(truth, lengths, boundaries)
    return _cut(found, lengths, boundaries), truth


def _same_video(name: str, videos: Sequence[str]) -> bool:
    """Whether one of the videos has that name, or the only one has its number."""
    number = video_number(name)
    only = video_number(videos[0]) if len(videos) == 1 else None
    return name in videos or (number is not None and number == only)


def read_lengths(path: Path) -> list[tuple[str, int]]:
    """(video, frames) of each line of a CSV file, in its order; a header is passed over."""
    where = f"--boundaries {path}"
    lengths: list[tuple[str, int]] = []
    for number, (line, row) in enumerate(read_lines(path)):
        frames = whole(row[1]) if len(row) == 2 and row[0].strip() else None
        if frames is None or frames < 0:
            if number == 0 and len(row) == 2 and not row[1].strip().isdecimal():
                continue
            raise UserError(f"{where}, line {line}: {','.join(row)[:60]!r} is not video,frames")
        lengths.append((row[0].strip(), frames))
    names = [name for name, _ in lengths]
    if not lengths or len(set(names)) < len(names) or min(n for _, n in lengths) < 1:
        raise UserError(f"{where}: lines video,frames are needed, each video once with its frames")
    return lengths


def _cut(sequence: Predictions, lengths: list[tuple[str, int]], told_by: str) -> Predictions:
    """The rows of a sequence as those of videos; the frames of each count from 0."""
    sizes = [frames for _, frames in lengths]
    if sum(sizes) != len(sequence.frame):
        raise UserError(
            f"{sequence.source}: {counted(len(sequence.frame), 'frame')}, but the"
            f" {counted(len(sizes), 'video')} of "
            f"{told_by} have {sum(sizes):,} together"
        )
    order = sorted(range(len(sizes)), key=lambda k: natural_order(lengths[k][0]))
    starts = np.cumsum([0, *sizes])
    rows = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in order])
    sizes = [sizes[k] for k in order]
    within = np.concatenate([np.arange(size) for size in sizes])
    step = round(float(np.median(np.diff(sequence.frame)))) if len(rows) > 1 else 1

    def part(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[rows]

    note = (
        f"{sequence.source}: one sequence, cut into {counted(len(sizes), 'video')} as told by"
        f" {told_by}"
    )
    return replace(
        sequence,
        videos=tuple(lengths[k][0] for k in order),
        video_index=np.repeat(np.arange(len(sizes)), sizes),
        frame=within * step,
        decision=part(sequence.decision),
        score=part(sequence.score),
        label=part(sequence.label),
        notes=(*sequence.notes, note),
    )


def _cut_by_truth(
    found: Predictions, truth: Predictions, splits: Sequence[Split]
) -> tuple[Predictions, Predictions]:
    """Finds the videos whose ground truth is as long as the sequence, in their natural order.

    All of the truth, or a split on record. Copies of a dataset that lack the last frame of each
    video are in use; they fit where the whole lengths do not.
    """
    rate = sampling_rate(found.frame / found.fps, found.source)
    truth = at_rate(truth, rate if np.isfinite(rate) else found.fps)
    frames = np.bincount(truth.video_index)
    numbers = [video_number(name) for name in truth.videos]
    sets = {"all of its videos": list(range(len(frames)))}
    for split in splits:
        held = [k for k, number in enumerate(numbers) if number in split.numbers]
        if len(held) == len(split.numbers) < len(frames):
            sets[split.name] = held
    fitting = [
        (name, videos, lacking)
        for lacking in (0, 1)
        for name, videos in sets.items()
        if frames[videos].sum() - lacking * len(videos) == len(found.frame)
    ]
    if not fitting:
        listed = "; ".join(f"{name}: {frames[v].sum():,}" for name, v in sets.items())
        raise UserError(
            f"{found.source}: {counted(len(found.frame), 'frame is', 'frames are')} not those of"
            f" {truth.source} "
            f"({listed}); say by --boundaries FILE where its videos begin"
        )
    name, videos, lacking = fitting[0]
    if lacking:
        last = np.append(np.diff(truth.video_index) != 0, True)
        note = f"{found.source}: lacks the last frame of each video, which was left out"
        truth, found = truth.take(~last), replace(found, notes=(*found.notes, note))
    lengths = [(truth.videos[k], int(frames[k] - lacking)) for k in videos]
    return _cut(found, lengths, f"{truth.source} ({name})"), truth
