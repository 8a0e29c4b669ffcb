"""AutoLaparo: the layout of its phases.

Confirmed by SurgVISTA and a public account of the distributed files: the division 10/4/7, phases
and their order, 40,211 lines that train, one a second, from 1. By that account and another
reader: phases from 1 to 7. Unconfirmed: that some copies number them from 0, as SurgVISTA's
reader has it.
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
from surgvista_jax.data.labels.tables import read_frame_table
from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.errors import UserError
from surgvista_jax.facts import splits
from surgvista_jax.facts.phases import AUTOLAPARO as PHASES
from surgvista_jax.facts.whole_numbers import whole

SPLITS = split_ids(splits.AUTOLAPARO, "{:02d}")
VIDEOS = tuple(video for members in SPLITS.values() for video in members)
LAYOUT = """\
SOURCE/
  videos/01.mp4 … 21.mp4            (or frames/01/*.png or frames_resized/01/*.png, one a second)
  labels/label_01.txt …             lines FRAME<TAB>PHASE, one a second, from 1:
      Frame   Phase
      1       1
      2       1"""


def read(folder: Path) -> Reading:
    """Reads AutoLaparo's official folder.

    Its phases are numbered from 1, in some copies from 0: all its files together tell which.
    """
    places = {
        video: (f"videos/{video}", f"frames/{video}", f"frames_resized/{video}", video)
        for video in VIDEOS
    }
    sources, notes = gather(folder, places)
    paths = {s.video: folder / "labels" / f"label_{s.video}.txt" for s in sources}
    first, place = _first_phase([path for path in paths.values() if path.exists()])
    if first:
        notes.append(Remark(str(folder / "labels"), "phases are numbered from 1; counted from 0"))
    if place is not None:
        notes.append(place)
    recordings = [
        Recording(s, partial(read_phases, paths[s.video], first), patient=f"autolaparo-{s.video}")
        for s in sources
    ]
    return Reading(recordings, SPLITS, notes)


def read_phases(path: Path, first: int) -> FrameLabels:
    """Reads a phase file in which the phases are numbered from `first`."""

    def parse(text: str, where: str) -> int:
        number = _number(text, where) - first
        if not 0 <= number < len(PHASES):
            raise UserError(
                f"{where}: phase {text} is not from {first} to {len(PHASES) - 1 + first}"
            )
        return number

    return read_frame_table(path, 1, parse)


def _first_phase(paths: list[Path]) -> tuple[int, Remark | None]:
    """The number of the first phase; with a remark where the files do not tell it for sure."""
    seen: set[Label] = set()
    for path in paths:
        seen.update(read_frame_table(path, 1, _number).by_number.values())
    if 0 in seen or not seen:
        return 0, None
    if len(PHASES) in seen:
        return 1, None
    text = f"neither phase 0 nor {len(PHASES)} occurs: taken as numbered from 1, as distributed"
    return 1, Remark(str(paths[0].parent), text)


def _number(text: str, where: str) -> int:
    number = whole(text)
    if number is None:
        raise UserError(f"{where}: {text[:40]!r} is not the number of a phase")
    return number


DATASET = Official(
    name="autolaparo",
    title="AutoLaparo",
    task="phase",
    classes=PHASES,
    read=read,
    layout=LAYOUT,
    procedure="laparoscopic hysterectomy",
    centre="Prince of Wales Hospital, Hong Kong",
    licence="CC BY-NC-SA 4.0",
    access="https://autolaparo.github.io (request form)",
    citation=(
        "Z. Wang et al., AutoLaparo: a new dataset of integrated multi-tasks for image-guided "
        "surgical automation in laparoscopic hysterectomy, MICCAI 2022"
    ),
    published=counts(splits.AUTOLAPARO),
)
