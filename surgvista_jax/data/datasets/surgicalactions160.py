"""SurgicalActions160: the layout of its clips.

Unconfirmed, as SurgVISTA alone tells it: which action each number stands for, names of files that
begin with it, the division 112/48.
"""

from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.official import (
    Counts,
    Official,
    Reading,
    Recording,
    gather_named,
)
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.splits import cut, seeded_order
from surgvista_jax.data.labels.tables import read_text
from surgvista_jax.data.labels.track import whole_video
from surgvista_jax.errors import UserError

ACTIONS = tuple(f"action {number:02d}" for number in range(1, 17))  # the files number them
NATIVE_FPS = 25.0
LAYOUT = """\
SOURCE/
  …/01_01….mp4 … 16_10….mp4     at any depth: the number before the first `_` is the action (or
                                folders of all frames of these names)
  train.txt, test.txt           optional: the name of a clip a line"""


def read(folder: Path) -> Reading:
    """Reads SurgicalActions160's folder; every frame of a clip has its action."""
    sources, problems = gather_named(folder, r"\d{1,2}_.*", "01_01.mp4")
    recordings = []
    for source in sources:
        number = int(source.video.partition("_")[0])
        if not 1 <= number <= len(ACTIONS):
            raise UserError(f"{source.path}: begins with {number}; actions are 1 to {len(ACTIONS)}")
        recordings.append(Recording(source, partial(whole_video, number - 1)))
    names = [source.video for source in sources]
    splits, notes = _splits(folder, names)
    notes.append(Remark("actions", "are numbered from 1 in names; counted from 0"))
    return Reading(recordings, splits, notes, problems)


def _splits(folder: Path, names: list[str]) -> tuple[dict[str, tuple[str, ...]], list[Remark]]:
    """Those of train.txt and test.txt, or 7 of 10 clips of each action drawn by a seed."""
    splits = {}
    for split in ("train", "test"):
        path = folder / f"{split}.txt"
        if not path.exists():
            continue
        members: list[str] = []
        for number, line in enumerate(read_text(path).split("\n"), start=1):
            if line.strip() and line.strip() not in names:
                raise UserError(f"{path}, line {number}: there is no clip {line.strip()!r}")
            members += [line.strip()] if line.strip() else []
        splits[split] = tuple(members)
    if splits:
        return splits, []
    for action in sorted({name.split("_")[0] for name in names}):
        clips = [name for name in names if name.split("_")[0] == action]
        drawn = cut(seeded_order(clips, 0), {"train": round(0.7 * len(clips)), "test": 0})
        for split, chosen in drawn.items():
            splits[split] = splits.get(split, ()) + chosen
    text = "the authors drew theirs without a seed; here 7 of 10 clips of each action train"
    return splits, [Remark("splits", text)]


DATASET = Official(
    name="surgicalactions160",
    title="SurgicalActions160",
    task="action",
    classes=ACTIONS,
    read=read,
    layout=LAYOUT,
    procedure="gynaecologic laparoscopy",
    centre="Klagenfurt University",
    licence="CC BY-NC 4.0",
    access="https://ftp.itec.aau.at/datasets/SurgicalActions160",
    citation=(
        "K. Schoeffmann et al., Video retrieval in laparoscopic video recordings with dynamic "
        "content descriptors, Multimedia Tools and Applications 77, 2018"
    ),
    published={"train": Counts(112), "test": Counts(48)},
    extract=ExtractConfig(fps=NATIVE_FPS),
)
