"""ProstaTD (the paper's Prostate21): the layout of its triplets.

Confirmed by SmartHealthX/ProstaTD and SurgVISTA: 14/2/5 videos, one frame a second, 7
instruments, 10 verbs, 10 targets, 89 triplets, entries of ten numbers. Unconfirmed: which three
members each of the 89 has, told by SurgVISTA alone; files that say otherwise are refused.
"""

from functools import partial
from pathlib import Path
from typing import Any

from surgvista_jax.data.conversion.official import Counts, Official, Reading, Recording, gather
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.json_file import read_annotations, whole_numbers
from surgvista_jax.data.labels.track import FrameLabels
from surgvista_jax.errors import UserError
from surgvista_jax.facts.triplets import PROSTATD

SPLITS = ("train", "val", "test")
LAYOUT = """\
SOURCE/
  frames/train/VIDEO/0.jpg …          annotated frames, one a second (or frames_resized/…); the
  frames/val/…, frames/test/…         folders tell the splits
  annos/train/VIDEO.json …            {"annotations": {frame: [[triplet, instrument, verb, target,
                                      track, triplet track, cx, cy, w, h], …]}}"""


def read(folder: Path) -> Reading:
    """Reads ProstaTD's folder, in the form of 89 triplets."""
    files = {
        path.stem: (split, path)
        for split in SPLITS
        for path in sorted((folder / "annos" / split).glob("*.json"))
    }
    if not files:
        raise UserError(f"{folder / 'annos' / 'train'}: no .json file in it; labels are needed")
    places = {
        video: [f"{frames}/{split}/{video}" for frames in ("frames_resized", "frames")]
        for video, (split, _) in files.items()
    }
    sources, notes = gather(folder, places, fps=1.0)
    recordings = [
        Recording(
            source,
            partial(read_triplets, files[source.video][1]),
            numbered=True,
            patient=f"prostatd-{source.video}",
        )
        for source in sources
    ]
    splits = {split: [v for v, (part, _) in files.items() if part == split] for split in SPLITS}
    text = "components are numbered, not named, in the files: so are they here"
    return Reading(recordings, splits, [*notes, Remark("classes", text)])


def read_triplets(path: Path) -> FrameLabels:
    """Reads which triplets each frame shows."""
    labels, lacking = {}, 0
    for frame, rows in read_annotations(path).items():
        ids = [_triplet(row, f"{path}, frame {frame}") for row in rows]
        lacking += ids.count(-1)
        labels[frame] = tuple(sorted({k for k in ids if k >= 0}))
    notes = (f"{lacking} instruments without a triplet are passed over",) if lacking else ()
    return FrameLabels(labels, 1.0, notes)


def _triplet(row: Any, where: str) -> int:
    if not (isinstance(row, list) and len(row) >= 4):
        raise UserError(
            f"{where}: must be a list that begins with the number of a triplet, is {row!r:.40}"
        )
    triplet, *parts = whole_numbers(row[:4], where)
    if not -1 <= triplet < len(PROSTATD.rows):
        raise UserError(f"{where}: triplet {triplet} is not from -1 to {len(PROSTATD.rows) - 1}")
    members = PROSTATD.rows[triplet].tolist()
    if triplet >= 0 and -1 not in parts and parts != members:
        raise UserError(
            f"{where}: triplet {triplet} is made of {tuple(members)}, not of {tuple(parts)}; is "
            "this the form of 89 triplets?"
        )
    return triplet


DATASET = Official(
    name="prostatd",
    title="ProstaTD (Prostate21)",
    task="triplet",
    classes=PROSTATD.names(),
    read=read,
    layout=LAYOUT,
    procedure="robot-assisted prostatectomy",
    centre="several; takes in videos of ESAD and PSI-AVA",
    licence="its terms come with the files",
    access="https://github.com/SmartHealthX/ProstaTD",
    citation=(
        "Y. Chen et al., ProstaTD: a large-scale multi-source dataset for structured surgical "
        "triplet detection, arXiv:2506.01130, 2025"
    ),
    label_kind="multi",
    published={"train": Counts(14), "val": Counts(2), "test": Counts(5)},
)
