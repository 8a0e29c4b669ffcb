"""CATARACTS 2020: the layout of its steps.

Confirmed by SurgVISTA and a program that follows the challenge's scoring script: the 19 steps in
their order, `Frame,Steps` from 1 at the video's rate, files in train_gt, dev_gt and test_gt.
Unconfirmed: which five videos validate, told by SurgVISTA alone; a file that lies elsewhere is an
error.
"""

from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import Counts, Official, Reading, Recording, gather
from surgvista_jax.data.labels.tables import class_number, read_frame_table
from surgvista_jax.data.labels.track import FrameLabels
from surgvista_jax.facts.phases import CATARACTS as STEPS

LABEL_FPS = 30
VAL = tuple(f"test{number:02d}" for number in (1, 7, 14, 16, 19))
SPLITS = {
    "train": tuple(f"train{number:02d}" for number in range(1, 26)),
    "val": VAL,
    "test": tuple(v for v in (f"test{n:02d}" for n in range(1, 26)) if v not in VAL),
}
LAYOUT = """\
SOURCE/
  videos/micro/train01.mp4 … train25.mp4, test01.mp4 … test25.mp4      30 frames a second
      (or frames/train01/*.png, one a second)
  ground_truth/CATARACTS_2020/train_gt/train01.csv …    lines FRAME,STEP, frames from 1:
      Frame,Steps
      1,0
  ground_truth/CATARACTS_2020/dev_gt/test01.csv …       the validation videos
  ground_truth/CATARACTS_2020/test_gt/test02.csv …"""


def read(folder: Path) -> Reading:
    """Reads CATARACTS' official folder."""
    videos = [video for members in SPLITS.values() for video in members]
    places = {
        video: (
            f"videos/micro/{video}",
            f"videos/{video}",
            f"frames/{video}",
            f"frames_resized/{video}",
            video,
        )
        for video in videos
    }
    sources, notes = gather(folder, places)
    recordings = [
        Recording(
            source,
            partial(read_steps, _label_file(folder, source.video)),
            patient=f"cataracts-{source.video}",
        )
        for source in sources
    ]
    return Reading(recordings, SPLITS, notes)


def read_steps(path: Path) -> FrameLabels:
    """Reads a label file, whose frames count from 1."""

    def parse(text: str, where: str) -> int:
        return class_number(text, where, "step", len(STEPS))

    return read_frame_table(path, LABEL_FPS, parse, first=1)


def _label_file(folder: Path, video: str) -> Path:
    part = {"train": "train_gt"}.get(video[:5], "dev_gt" if video in VAL else "test_gt")
    return folder / "ground_truth" / "CATARACTS_2020" / part / f"{video}.csv"


DATASET = Official(
    name="cataracts",
    title="CATARACTS 2020",
    task="phase",
    classes=STEPS,
    read=read,
    layout=LAYOUT,
    procedure="cataract surgery",
    centre="University Hospital of Brest",
    licence="for research; its terms come with the files",
    access="https://ieee-dataport.org/open-access/cataracts",
    citation=(
        "H. Al Hajj et al., CATARACTS: challenge on automatic tool annotation for cataract "
        "surgery, Medical Image Analysis 52, 2019"
    ),
    published={"train": Counts(25), "val": Counts(5), "test": Counts(20)},
)
