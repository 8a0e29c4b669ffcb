"""HeiChole: the videos, for pretraining, and the layout of their phases and instruments.

Confirmed by a public account of the distributed files and two programs that read them: 24 public
videos (9 are not), 7 phases from 0, categories of instruments 0 to 6 and 20, a line a frame from
0. By that account and SurgVISTA: rates and counts, as the 1,836,369 lines are 55,139 seconds only
at 50 frames a second in videos 16 to 20, 23 and 24, at 25 in the others. Unconfirmed: any
division of the 24 videos.

Actions (`Hei-Chole1_Annotation_Action.csv`: frame, then 0 or 1 for grasp, hold, cut and clip) and
the 21 types of instruments (`…_Instrument_Detailed.csv`) are not read.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import (
    Official,
    Reading,
    Recording,
    counts,
    gather_named,
    missing_videos,
)
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.files import find_files, numbered_files
from surgvista_jax.data.labels.presence import read_presence_lines
from surgvista_jax.data.labels.tables import class_number, read_frame_table
from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.errors import UserError
from surgvista_jax.facts import instruments, phases, splits

PHASE, INSTRUMENT = "Phase", "Instrument"  # what the names of label files end with
COLUMNS = 21  # of instruments: the categories, reserved ones, and at last
SHAFT = 20  # a shaft, of no known category
FPS = 25.0  # of the videos, a label for each frame
FAST_FPS = 50.0
FAST = (16, 17, 18, 19, 20, 23, 24)
VIDEOS = """\
SOURCE/
  …/Hei-Chole1.mp4 … Hei-Chole24.mp4    at any depth (or folders of frames of these names); those
                                        in Full count before those in Full/HD"""
PHASE_LAYOUT = """
  …/Hei-Chole1_Annotation_Phase.csv …   at any depth; lines FRAME,PHASE without header, from 0,
      0,0                               one for each frame of the video (25 or 50 a second)"""
INSTRUMENT_LAYOUT = """
  …/Hei-Chole1_Annotation_Instrument.csv …      at any depth; for each frame of the video (25 or
      0,1,0,1,0,0,…                             50 a second) its number from 0, then 0 or 1 for
                                                the categories 0 to 20"""


def read(folder: Path) -> Reading:
    """Reads every public video of HeiChole; all are for training."""
    sources, problems = gather_named(folder, r"Hei-Chole\d+", "Hei-Chole1.mp4", copies="HD")
    recordings = [Recording(source, patient=f"heichole-{source.video}") for source in sources]
    notes = []
    if find_files(folder, _pattern(PHASE)):
        text = "are left alone; `heichole-phases` and `heichole_tool` read them"
        notes.append(Remark("annotations", text))
    return Reading(recordings, {"train": [s.video for s in sources]}, notes, problems)


def read_labelled(
    folder: Path, kind: str, read_labels: Callable[[Path, float], FrameLabels]
) -> Reading:
    """Reads the videos and either kind of label; all are for training."""
    reading = read(folder)
    files = numbered_files(folder, _pattern(kind))
    recordings = []
    for recording in reading.recordings:
        video = recording.source.video
        number = int(video.removeprefix("Hei-Chole"))
        path = files.get(number, folder / f"{video}_Annotation_{kind}.csv")
        labels = partial(read_labels, path, FAST_FPS if number in FAST else FPS)
        recordings.append(replace(recording, read_labels=labels))
    numbers = splits.HEICHOLE["train"].numbers
    missing = [f"Hei-Chole{k}" for k in numbers if f"Hei-Chole{k}" not in reading.splits["train"]]
    notes = missing_videos(folder, missing, len(numbers))
    return replace(reading, recordings=recordings, notes=notes)


def _pattern(kind: str) -> str:
    """Of label files; what the annotators made lies beside them, in a folder of its own."""
    return rf"(?<!raw_annotations/)hei-chole0*(\d+)_annotation_{kind}\.csv"


def read_phases(path: Path, fps: float) -> FrameLabels:
    """Reads the phases of the frames of a video."""

    def parse(text: str, where: str) -> int:
        return class_number(text, where, "phase", len(phases.HEICHOLE))

    return read_frame_table(path, fps, parse, first=0)


def read_instruments(path: Path, fps: float) -> FrameLabels:
    """Reads the categories of instruments that each frame of a video shows."""
    track = read_presence_lines(path, COLUMNS, fps)
    known = range(len(instruments.HEICHOLE))
    by_number: dict[int, Label] = {}
    shafts = 0
    for frame, there in track.by_number.items():
        assert isinstance(there, tuple)  # a frame shows any number of them
        strange = [column for column in there if column not in (*known, SHAFT)]
        if strange:
            raise UserError(
                f"{path}, frame {frame}: category {strange[0]} is none of 0 to {known[-1]} and "
                f"{SHAFT}"
            )
        shafts += SHAFT in there
        by_number[frame] = tuple(column for column in there if column != SHAFT)
    notes = track.notes
    if shafts:
        share = shafts / len(by_number)
        notes += (f"shafts of no known category, in {share:.1%} of its frames, are passed over",)
    return replace(track, by_number=by_number, notes=notes)


PRETRAINING = Official(
    name="heichole",
    title="HeiChole",
    task="none",
    classes=(),
    read=read,
    layout=VIDEOS,
    procedure="laparoscopic cholecystectomy",
    centre="Heidelberg, Salem and Sinsheim",
    licence="CC BY-NC-SA 4.0",
    access="https://www.synapse.org/heichole",
    citation=(
        "M. Wagner et al., Comparative validation of machine learning algorithms for surgical "
        "workflow and skill analysis with the HeiChole benchmark, Medical Image Analysis 86, 2023"
    ),
    published=counts(splits.HEICHOLE),
)
DATASETS = (
    PRETRAINING,
    replace(
        PRETRAINING,
        name="heichole-phases",
        title="HeiChole (phases)",
        task="phase",
        classes=phases.HEICHOLE,
        read=partial(read_labelled, kind=PHASE, read_labels=read_phases),
        layout=VIDEOS + PHASE_LAYOUT,
    ),
    replace(
        PRETRAINING,
        name="heichole_tool",
        title="HeiChole (instruments)",
        task="tool",
        classes=instruments.HEICHOLE,
        read=partial(read_labelled, kind=INSTRUMENT, read_labels=read_instruments),
        layout=VIDEOS + INSTRUMENT_LAYOUT,
        label_kind="multi",
    ),
)
