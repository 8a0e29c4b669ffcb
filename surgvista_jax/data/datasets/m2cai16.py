"""M2CAI16-workflow: the layout of its phases.

Confirmed by Cadene/torchnet-m2caiworkflow and other programs that read the files: phases, their
order, 25 lines a second. Unconfirmed, as SurgVISTA alone tells it: 27 and 14 videos (the part
from Munich is 15 and 5, arXiv:1610.09278), the numbering through, 67,578 frames that train.
"""

import re
from functools import partial
from pathlib import Path

from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.official import (
    Official,
    Reading,
    Recording,
    counts,
    find_source,
    gather,
    split_ids,
)
from surgvista_jax.data.conversion.sources import Remark, frame_files
from surgvista_jax.data.labels.names import ClassNames
from surgvista_jax.data.labels.tables import read_frame_table
from surgvista_jax.data.labels.track import FrameLabels
from surgvista_jax.data.storage.suffixes import VIDEO_SUFFIXES
from surgvista_jax.errors import UserError
from surgvista_jax.facts import splits
from surgvista_jax.facts.phases import M2CAI16 as PHASES

LABEL_FPS = 25
SPLITS = split_ids(splits.M2CAI16, "video_{:02d}")
VIDEOS = SPLITS["train"] + SPLITS["test"]
LAYOUT = """\
SOURCE/
  train_dataset/workflow_video_01.mp4 …     as distributed: 27 videos, each beside its label file
  train_dataset/workflow_video_01.txt …     lines FRAME<TAB>PHASE, 25 a second, from 0:
      Frame   Phase
      0       TrocarPlacement
  test_dataset/…                            14 videos; *timestamp* and *pred* files are passed over
or, numbered through:
  videos/video_01.mp4 … video_41.mp4        (or frames/video_01/*.png, one a second)
  phases/video_phase_01.txt …"""


def read(folder: Path) -> Reading:
    """Reads M2CAI16-workflow's official folder, or one numbered through."""
    if (folder / "train_dataset").is_dir() or (folder / "test_dataset").is_dir():
        return _read_distributed(folder)
    places = {video: (f"videos/{video}", f"frames/{video}", video) for video in VIDEOS}
    sources, notes = gather(folder, places)
    recordings = [
        Recording(
            source,
            partial(read_phases, folder / "phases" / f"video_phase_{source.video[-2:]}.txt"),
            patient=f"m2cai16-{source.video}",
        )
        for source in sources
    ]
    return Reading(recordings, SPLITS, notes)


def read_phases(path: Path) -> FrameLabels:
    """Reads a phase file."""
    return read_frame_table(path, LABEL_FPS, ClassNames(PHASES).id_of, first=0)


def _read_distributed(folder: Path) -> Reading:
    """Numbers the videos of train_dataset and then of test_dataset through, by name."""
    recordings, notes = [], []
    for split, members in splits.M2CAI16.items():
        part, first, expected = f"{split}_dataset", members.numbers[0], len(members.numbers)
        names = _stems(folder / part)
        if len(names) != expected:
            text = f"holds {counted(len(names), 'video')}, published are {expected}"
            if len(names) > expected:
                raise UserError(f"{folder / part}: {text}")
            text += "; they are numbered as if those that lack came last"
            notes.append(Remark(str(folder / part), text))
        for number, name in enumerate(names, start=first):
            video = f"video_{number:02d}"
            source = find_source(folder, video, (f"{part}/{name}",))
            if source is None:
                raise UserError(f"{folder / part}: neither a video nor images called {name}")
            labels = partial(read_phases, _label_file(folder / part, name))
            recordings.append(Recording(source, labels, patient=f"m2cai16-{video}"))
            if name != video:
                notes.append(Remark(f"{part}/{name}", f"is called {video}"))
    if not recordings:
        raise UserError(f"{folder}: no video in train_dataset or test_dataset")
    return Reading(recordings, SPLITS, notes)


def _label_file(folder: Path, name: str) -> Path:
    """`<name>.txt`, or the one label file beside it that ends with the same number."""
    exact = folder / f"{name}.txt"
    number = re.findall(r"\d+", name)[-1:]
    for path in [] if exact.exists() else sorted(folder.glob("*.txt")):
        passed_over = "timestamp" in path.name or "pred" in path.name
        if not passed_over and re.findall(r"\d+", path.stem)[-1:] == number:
            return path
    return exact


def _stems(folder: Path) -> list[str]:
    """Names of the videos of a folder, without ending, sorted."""
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    files = {path.stem for path in paths if path.suffix.lower() in VIDEO_SUFFIXES}
    folders = {path.name for path in paths if path.is_dir() and frame_files(path)}
    return sorted(files | folders)


DATASET = Official(
    name="m2cai16",
    title="M2CAI16-workflow",
    task="phase",
    classes=PHASES,
    read=read,
    layout=LAYOUT,
    procedure="laparoscopic cholecystectomy",
    centre="University Hospital of Strasbourg; Klinikum rechts der Isar, Munich",
    licence="for research; its terms come with the files",
    access="https://camma.unistra.fr/datasets (request form)",
    citation=(
        "R. Stauder et al., The TUM LapChole dataset for the M2CAI 2016 workflow challenge, "
        "arXiv:1610.09278, 2016; and A. P. Twinanda et al., EndoNet, IEEE TMI 36(1), 2017"
    ),
    published=counts(splits.M2CAI16),
)
