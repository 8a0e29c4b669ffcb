"""PmLR50: the layout of its phases.

Confirmed by RascalGdd/PmNet, whose program makes the index files, and SurgVISTA: 35/5/10 videos,
5 phases, one frame a second. Unconfirmed: which videos these are, told by PmNet alone, and the
names of the phases, told by SurgVISTA alone.
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
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.index_pickle import frame_labels, read_index
from surgvista_jax.data.labels.track import FrameLabels
from surgvista_jax.facts.splits import PMLR50

PHASES = (
    "Preparation stage",
    "Knotting of the Foley catheter",
    "Procedure of the liver resection",
    "Release of the Foley catheter",
    "Postprocessing stage",
)
LAYOUT = """\
SOURCE/
  frames/01/00000000.jpg …          a folder of frames for each video, one a second
  labels/train/1fpstrain.pickle     video id -> a list of {"frame_id", "phase_gt", …}; the files
  labels/val/1fpsval.pickle         also tell the splits; made by PmNet's program, validation is
  labels/test/1fpstest.pickle       in labels/test and the test in labels/infer/1fpsinfer.pickle"""


def read(folder: Path) -> Reading:
    """Reads PmLR50's official folder; the number in an image's name is its `frame_id`."""
    splits: dict[str, list[str]] = {}
    files: dict[str, tuple[Path, str]] = {}
    for split, name in _names(folder).items():
        path = folder / "labels" / name / f"1fps{name}.pickle"
        names = list(read_index(path))
        splits[split] = [name.zfill(2) for name in names]
        files |= {name.zfill(2): (path, name) for name in names}
    places = {video: (f"frames/{video}", f"frames/{video.lstrip('0')}") for video in files}
    sources, notes = gather(folder, places, fps=1.0)
    recordings = [
        Recording(
            source,
            partial(read_phases, *files[source.video]),
            numbered=True,
            patient=f"pmlr50-{source.video}",
        )
        for source in sources
    ]
    published = split_ids(PMLR50, "{:02d}")
    differing = [name for name in splits if set(splits[name]) - set(published[name])]
    if differing:
        text = f"{', '.join(differing)} hold other videos than the published division has there"
        notes.append(Remark("splits", text))
    return Reading(recordings, splits, notes)


def _names(folder: Path) -> dict[str, str]:
    """Split -> what it is called in the names of files."""
    if (folder / "labels" / "infer").is_dir():
        return {"train": "train", "val": "test", "test": "infer"}
    return {name: name for name in ("train", "val", "test")}


def read_phases(path: Path, video: str) -> FrameLabels:
    """Reads the phases of one video from an index file."""
    return frame_labels(path, video, "frame_id", "phase_gt", len(PHASES))


DATASET = Official(
    name="pmlr50",
    title="PmLR50",
    task="phase",
    classes=PHASES,
    read=read,
    layout=LAYOUT,
    procedure="laparoscopic liver resection with the Pringle manoeuvre",
    centre="not told by the files",
    licence="its terms come with the files",
    access="https://github.com/RascalGdd/PmNet",
    citation=(
        "D. Guo et al., Surgical workflow recognition and blocking effectiveness detection in "
        "laparoscopic liver resections with Pringle maneuver, AAAI 2025"
    ),
    published=counts(PMLR50),
)
