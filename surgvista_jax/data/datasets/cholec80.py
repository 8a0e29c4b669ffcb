"""Cholec80: the layout of its phases.

Confirmed by YuemingJin/TMRNet and a public copy of all labels: phases, their order, 25 lines a
second, the division 40/40; by that copy and SurgVISTA: 86,344, 98,234 and 88,494 frames.
Unconfirmed: the division 32-8-40, and why SurgVISTA tests without five videos.
"""

from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.official import (
    Official,
    Reading,
    Recording,
    counts,
    gather,
    split_ids,
)
from surgvista_jax.data.labels.names import ClassNames
from surgvista_jax.data.labels.tables import read_frame_table, read_one_a_line, read_text
from surgvista_jax.data.labels.track import FrameLabels
from surgvista_jax.facts import splits
from surgvista_jax.facts.phases import CHOLEC80 as PHASES

LABEL_FPS = 25  # of the official files
SPLITS = split_ids(splits.CHOLEC80, "video{:02d}")
VIDEOS = SPLITS["train"] + SPLITS["test"]
LAYOUT = """\
SOURCE/
  videos/video01.mp4 … video80.mp4              (or frames/video01/*.jpg, one a second)
  phase_annotations/video01-phase.txt …         lines FRAME<TAB>PHASE, 25 a second, from 0:
      Frame   Phase
      0       Preparation
      1       Preparation
  (or the same names with a phase a line, one line a second, without header)"""


def read(folder: Path) -> Reading:
    """Reads Cholec80's official folder."""
    places = {
        video: (
            f"videos/{video}",
            f"frames/{video}",
            f"frames/train/{video}",
            f"frames/test/{video}",
            video,
        )
        for video in VIDEOS
    }
    sources, notes = gather(folder, places)
    recordings = [
        Recording(
            source,
            partial(read_phases, folder / "phase_annotations" / f"{source.video}-phase.txt"),
            patient=f"cholec80-{source.video}",
            centre="Strasbourg",
        )
        for source in sources
    ]
    return Reading(recordings, SPLITS, notes)


def read_phases(path: Path) -> FrameLabels:
    """Reads a phase file, of a line for each frame or of a line for each second."""
    id_of = ClassNames(PHASES).id_of
    first_line = read_text(path).split("\n", 1)[0].split()
    if len(first_line) == 1:
        return read_one_a_line(path, 1, id_of)
    return read_frame_table(path, LABEL_FPS, id_of, first=0)


DATASET = Official(
    name="cholec80",
    title="Cholec80",
    task="phase",
    classes=PHASES,
    read=read,
    layout=LAYOUT,
    procedure="laparoscopic cholecystectomy",
    centre="University Hospital of Strasbourg",
    licence="CC BY-NC-SA 4.0",
    access="https://camma.unistra.fr/datasets (request form)",
    citation=(
        "A. P. Twinanda et al., EndoNet: a deep architecture for recognition tasks on laparoscopic "
        "videos, IEEE Transactions on Medical Imaging 36(1), 2017"
    ),
    published=counts(splits.CHOLEC80, "train", "test", "authors/test"),
    extract=ExtractConfig(cut_margins=True),
)
