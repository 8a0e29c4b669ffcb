"""PSI-AVA: the videos, for pretraining, and the layout of their phases and steps.

Confirmed by BCV-Uniandes/TAPIR (lists, tables of classes) and programs that read GraSP
(arXiv:2401.11174), which takes these eight operations in: phases, steps, their order, one frame a
second. Unconfirmed: the two folds, told by TAPIR's lists alone.

The lists of `psi-ava_extended/fold2` have 73,617 lines, 38,404 in val.csv and 35,213 in
train.csv, which begins with second 1 of CASE002, in a line numbered 2: one second more than that
is labelled. GraSP is told to have 73,619. SurgVISTA pretrains on 72,318 frames, the files in its
folders; it tells neither a number for each operation nor how they were made, so that the 1,300
that it has fewer cannot be traced. Frames without a line are unlabelled here, lines without a
frame are dropped.
"""

import functools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.official import (
    Counts,
    Official,
    Reading,
    Recording,
    counts,
    gather_named,
    missing_videos,
    split_ids,
)
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.labels.files import find_files
from surgvista_jax.data.labels.tables import read_text, version
from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.errors import UserError
from surgvista_jax.facts import phases, splits
from surgvista_jax.facts.whole_numbers import whole

# Of every second; the lists in `psi-ava` are of frames 35 seconds apart.
LISTS = r"psi-ava_extended/fold\d/annotations/(?:train|val)\.csv"
STEP, PHASE, COLUMNS = 11, 12, 13  # of a line
VIDEOS = """\
SOURCE/
  …/CASE001.mp4 …       at any depth (or folders of frames, keyframes/CASE001/00000.jpg)"""
LABELS = """
  …/psi-ava_extended/fold1/annotations/train.csv …      also val.csv and fold2, at any depth, as in
      CASE001,0,1,0.0,0.0,0.0,0.0,0,-1,-1,0,1,1         outputs/data_annotations of the authors'
                                                        repository; without header: operation,
                                                        second, line, box (4 cells), actions (3),
                                                        instrument, step, phase"""


def read(folder: Path) -> Reading:
    """Reads every video of PSI-AVA; all are for training."""
    sources, problems = gather_named(folder, r"CASE\d+", "CASE001.mp4")
    recordings = [Recording(source, patient=f"psi-ava-{source.video}") for source in sources]
    notes = []
    if find_files(folder, LISTS):
        text = "are left alone; `psi-ava-phases` and `psi-ava-steps` read them"
        notes.append(Remark("annotations", text))
    return Reading(recordings, {"train": [s.video for s in sources]}, notes, problems)


def read_labelled(folder: Path, column: int, num_classes: int) -> Reading:
    """Reads the videos and their phases or steps, in the two folds."""
    reading = read(folder)
    paths = tuple(find_files(folder, LISTS))
    if not paths:
        raise UserError(
            f"{folder}: no psi-ava_extended/fold1/annotations/train.csv or the like below it; they "
            "hold the labels"
        )
    recordings = []
    for recording in reading.recordings:
        labels = partial(read_seconds, paths, recording.source.video, column, num_classes)
        recordings.append(replace(recording, read_labels=labels, numbered=True))
    divided = split_ids(splits.PSI_AVA, "CASE{:03d}")
    cases = sorted({*divided["train"], *divided["val"]})
    missing = [case for case in cases if case not in reading.splits["train"]]
    notes = missing_videos(folder, missing, len(cases))
    return replace(reading, recordings=recordings, splits=divided, notes=notes)


def read_seconds(paths: Sequence[Path], case: str, column: int, num_classes: int) -> FrameLabels:
    """The phases or steps of an operation, from all lists that hold it; -1 is unlabelled.

    Raises:
        UserError: a wrong line; a second has two labels; no list holds the operation.
    """
    labels: dict[int, Label] = {}
    for path in paths:
        for second, (line, cells) in _seconds(path, version(path)).get(case, {}).items():
            where = f"{path}, line {line}"
            label = cells[column - STEP]
            if not UNLABELLED <= label < num_classes:
                raise UserError(
                    f"{where}: cell {column + 1} is {label}, not from 0 to {num_classes - 1}"
                )
            if labels.setdefault(second, label) != label:
                raise UserError(
                    f"{where}: second {second} of {case} is {label}, elsewhere {labels[second]}"
                )
    if not labels:
        raise UserError(f"{paths[0].parents[2]}: no line of {case} in any train.csv or val.csv")
    return FrameLabels(labels, 1.0)


@functools.lru_cache(maxsize=8)
def _seconds(path: Path, version: object) -> dict[str, dict[int, tuple[int, tuple[int, int]]]]:
    """Operation -> second -> its line, and step and phase there."""
    found: dict[str, dict[int, tuple[int, tuple[int, int]]]] = {}
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        cells = [cell.strip() for cell in text.split(",")]
        where = f"{path}, line {line}"
        if len(cells) != COLUMNS:
            raise UserError(f"{where}: {counted(len(cells), 'cell')}, {COLUMNS} are due")
        numbers = []
        for position in (1, STEP, PHASE):
            cell = cells[position]
            value = whole(cell)
            if value is None or value < -1:
                raise UserError(
                    f"{where}: cell {position + 1}: {cell[:40]!r} is not a whole number"
                )
            numbers.append(value)
        second, step, phase = numbers
        if second < 0:
            raise UserError(f"{where}: second {second} is below 0")
        before = found.setdefault(cells[0], {}).setdefault(second, (line, (step, phase)))
        if before[1] != (step, phase):
            raise UserError(
                f"{where}: step {step} and phase {phase} of a second that line {before[0]} gives "
                "others"
            )
    return found


PRETRAINING = Official(
    name="psi-ava",
    title="PSI-AVA",
    task="none",
    classes=(),
    read=read,
    layout=VIDEOS,
    procedure="robot-assisted radical prostatectomy",
    centre="Fundación Santa Fe de Bogotá",
    licence="its terms come with the files",
    access="https://github.com/BCV-Uniandes/TAPIR",
    citation=("N. Valderrama et al., Towards holistic surgical scene understanding, MICCAI 2022"),
    published={"train": Counts(8, 72_318)},
)


def _dataset(kind: str, classes: tuple[str, ...], column: int) -> Official:
    return replace(
        PRETRAINING,
        name=f"psi-ava-{kind}",
        title=f"PSI-AVA ({kind})",
        task="phase",
        classes=classes,
        read=partial(read_labelled, column=column, num_classes=len(classes)),
        layout=VIDEOS + LABELS,
        published=counts(splits.PSI_AVA),
    )


DATASETS = (
    PRETRAINING,
    _dataset("phases", phases.PSI_AVA_PHASES, PHASE),
    _dataset("steps", phases.PSI_AVA_STEPS, STEP),
)
