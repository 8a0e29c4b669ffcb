"""PitVis: the videos, for pretraining, and the layout of their steps and instruments.

Confirmed by dreets/pitvis (the challenge's scores) and wylliamunlimited/pitvis-phase-recognition,
which went through the published files: steps 1 to 14 and -1, instruments 0 to 18, -1 and -2. By the
latter and UCL-WEISS/PitVis-2023 on Hugging Face: 25 public videos and their files; by the latter
and PitVQA: names of steps and instruments; by the latter, quoting A. Das et al., and its counts of
lines: the division 20/5. 120,018 frames: SurgVISTA; the 115,562 of the labelled videos and 4,456 of
video 19 come to the same. Unconfirmed, told by the one account: that video 19 has no labels, that
each file has one line more than its video has seconds, that video 24 alone has 25 frames a second,
not 24.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import (
    Counts,
    Official,
    Reading,
    Recording,
    gather_named,
    missing_videos,
)
from surgvista_jax.data.conversion.sources import Remark, SourceVideo
from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.labels.files import find_files, numbered_files
from surgvista_jax.data.labels.tables import Row, read_rows
from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.errors import UserError
from surgvista_jax.facts import instruments, phases, splits

NUM_VIDEOS = 25
ANNOTATIONS = r"annotations_0*(\d+)\.csv"
OUTSIDE = -1  # the endoscope is, so that there is no step and no instrument
NO_SECOND = -2
VIDEOS = """\
SOURCE/
  …/video_01.mp4 … video_25.mp4     at any depth (or folders of frames of these names)"""
LABELS = """
  …/annotations_01.csv …            at any depth, for each video; a line a second, from 0:
      int_video,int_time,int_step,int_instrument1,int_instrument2
      1,0,-1,-1,-2                  -1 out of the patient, -2 no second instrument
      1,1,1,16,-2                   none of video 19 is published"""


def read(folder: Path) -> Reading:
    """Reads every public video of PitVis; all are for training."""
    sources, problems = gather_named(folder, r"video_\d+", "video_01.mp4")
    recordings = [Recording(source, patient=f"pitvis-{source.video}") for source in sources]
    notes = []
    if find_files(folder, ANNOTATIONS):
        text = "are left alone, and all videos train; `pitvis-steps` and `pitvis_tool` read them"
        notes.append(Remark("annotations", text))
    return Reading(recordings, {"train": [s.video for s in sources]}, notes, problems)


def read_labelled(folder: Path, read_labels: Callable[[Path, int], FrameLabels]) -> Reading:
    """Reads the videos and either kind of label; video 19 is left out where it has none."""
    sources, problems = gather_named(folder, r"video_\d+", "video_01.mp4")
    files = numbered_files(folder, ANNOTATIONS)
    recordings, notes = [], []
    for source in sources:
        number = _number(source)
        path = files.get(number, folder / f"annotations_{number:02d}.csv")
        if number == splits.PITVIS_UNLABELLED and number not in files:
            text = f"left out: there is no {path.name}, as published; `pitvis` takes it"
            notes.append(Remark(source.video, text))
            continue
        labels = partial(read_labels, path, number)
        recordings.append(Recording(source, labels, patient=f"pitvis-{source.video}"))
    if not recordings:
        raise UserError(f"{folder}: only {sources[0].video} is there, which has no labels")
    names = {_number(source): source.video for source in sources}
    missing = [f"video_{k:02d}" for k in range(1, NUM_VIDEOS + 1) if k not in names]
    notes += missing_videos(folder, missing, NUM_VIDEOS)
    divided = {
        split: [names[k] for k in part.numbers if k in names]
        for split, part in splits.PITVIS.items()
    }
    return Reading(recordings, divided, notes, problems)


def read_steps(path: Path, number: int) -> FrameLabels:
    """Reads the steps of a video; class 0 is the official -1."""
    labels: dict[int, Label] = {}
    for second, row in _seconds(path, number, "int_step"):
        step = row.number("int_step", int)
        if not (step == OUTSIDE or 1 <= step < len(phases.PITVIS)):
            raise UserError(
                f"{row.where}: step {step} is neither -1 nor from 1 to {len(phases.PITVIS) - 1}"
            )
        labels[second] = max(step, 0)
    return FrameLabels(labels, 1.0, _gaps(labels))


def read_instruments(path: Path, number: int) -> FrameLabels:
    """Reads the instruments of a video; seconds outside the patient are unlabelled: not scored."""
    labels: dict[int, Label] = {}
    contradicting = 0
    for second, row in _seconds(path, number, "int_instrument1", "int_instrument2"):
        first, other = row.number("int_instrument1", int), row.number("int_instrument2", int)
        for name, id_, empty in (("1", first, OUTSIDE), ("2", other, NO_SECOND)):
            if not (id_ in (OUTSIDE, empty) or 0 <= id_ < len(instruments.PITVIS)):
                raise UserError(
                    f"{row.where}: int_instrument{name} {id_} is neither {empty} nor from 0 to "
                    f"{len(instruments.PITVIS) - 1}"
                )
        if OUTSIDE in (first, other):
            labels[second] = UNLABELLED
            continue
        there = {first, other} - {NO_SECOND}
        if 0 in there and len(there) > 1:
            there.remove(0)
            contradicting += 1
        labels[second] = tuple(sorted(there))
    notes = _gaps(labels)
    if contradicting:
        notes += (f"{contradicting} seconds name none beside an instrument, which counts",)
    return FrameLabels(labels, 1.0, notes)


def _seconds(path: Path, number: int, *columns: str) -> list[tuple[int, Row]]:
    """The lines of a file by their second, which must rise."""
    rows: list[tuple[int, Row]] = []
    for row in read_rows(path, ("int_video", "int_time", *columns)):
        video, second = row.number("int_video", int), row.number("int_time", int)
        if video != number:
            raise UserError(f"{row.where}: int_video {video}, in the file of video {number}")
        if second < 0 or (rows and second <= rows[-1][0]):
            before = f" after {rows[-1][0]}" if rows else ""
            raise UserError(f"{row.where}: int_time {second}{before}; seconds must rise from 0")
        rows.append((second, row))
    if not rows:
        raise UserError(f"{path}: no label in it; a line a second is needed")
    return rows


def _gaps(labels: dict[int, Label]) -> tuple[str, ...]:
    missing = max(labels) + 1 - len(labels)
    return (f"{missing} seconds before the last have no line: unlabelled",) if missing else ()


def _number(source: SourceVideo) -> int:
    return int(source.video.removeprefix("video_"))


PRETRAINING = Official(
    name="pitvis",
    title="PitVis",
    task="none",
    classes=(),
    read=read,
    layout=VIDEOS,
    procedure="endoscopic pituitary surgery",
    centre="National Hospital for Neurology and Neurosurgery, London",
    licence="its terms come with the files",
    access="https://doi.org/10.5522/04/26531686 (PitVis challenge)",
    citation=(
        "A. Das et al., PitVis-2023 challenge: workflow recognition in videos of endoscopic "
        "pituitary surgery, arXiv:2409.01184, 2024"
    ),
    published={"train": Counts(NUM_VIDEOS, 120_018)},
)
STEPS = replace(
    PRETRAINING,
    name="pitvis-steps",
    title="PitVis (steps)",
    task="phase",
    classes=phases.PITVIS,
    read=partial(read_labelled, read_labels=read_steps),
    layout=VIDEOS + LABELS,
    published={"train": Counts(19, 84_666), "val": Counts(5, 30_896)},
)
DATASETS = (
    PRETRAINING,
    STEPS,
    replace(
        STEPS,
        name="pitvis_tool",
        title="PitVis (instruments)",
        task="tool",
        classes=instruments.PITVIS,
        read=partial(read_labelled, read_labels=read_instruments),
        label_kind="multi",
    ),
)
