"""M2CAI16-tool: the presence of instruments.

Confirmed by two public programs that read the files: the columns and their order. By CAMMA's
analysis of overlaps, as it is quoted, and one of those programs: videos 1 to 10 train, 11 to 15
test. Unconfirmed: 12,541 frames that test.
"""

from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import (
    Official,
    Reading,
    Recording,
    counts,
    gather,
    split_ids,
)
from surgvista_jax.data.labels.presence import read_presence
from surgvista_jax.facts import splits
from surgvista_jax.facts.instruments import CHOLEC80

LABEL_FPS = 25
SPLITS = split_ids(splits.M2CAI16_TOOL, "tool_video_{:02d}")
LAYOUT = """\
SOURCE/
  train_dataset/tool_video_01.mp4 … 10.mp4      (or tool_video_01/*.jpg, one a second)
  train_dataset/tool_video_01.txt …             beside the video; a line each 25 frames, from 0:
      Frame   Grasper  Bipolar  Hook  Scissors  Clipper  Irrigator  SpecimenBag
      0       1        0        0     0         0        0          0
      25      1        0        1     0         0        0          0
  test_dataset/tool_video_11.mp4 … 15.mp4       likewise"""


def read(folder: Path) -> Reading:
    """Reads M2CAI16-tool's official folder."""
    places = {
        video: (f"{split}_dataset/{video}", f"videos/{video}", f"frames/{video}", video)
        for split, videos in SPLITS.items()
        for video in videos
    }
    sources, notes = gather(folder, places)
    recordings = [
        Recording(
            source,
            partial(read_presence, source.path.parent / f"{source.video}.txt", CHOLEC80, LABEL_FPS),
            patient=f"m2cai16-{source.video}",
            centre="Strasbourg",
        )
        for source in sources
    ]
    return Reading(recordings, SPLITS, notes)


DATASET = Official(
    name="m2cai16_tool",
    title="M2CAI16-tool",
    task="tool",
    classes=CHOLEC80,
    read=read,
    layout=LAYOUT,
    procedure="laparoscopic cholecystectomy",
    centre="University Hospital of Strasbourg",
    licence="for research; its terms come with the files",
    access="https://camma.unistra.fr/datasets (request form)",
    citation=(
        "A. P. Twinanda et al., Single- and multi-task architectures for tool presence detection "
        "challenge at M2CAI 2016, arXiv:1610.08851, 2016; and EndoNet, IEEE TMI 36(1), 2017"
    ),
    label_kind="multi",
    published=counts(splits.M2CAI16_TOOL),
)
