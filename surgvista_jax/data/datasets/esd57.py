"""ESD57: the layout of its phases.

Nothing can be confirmed: the data are private to the authors of SurgVISTA, who alone tell of it.
"""

from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import Counts, Official, Reading, Recording, gather
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.splits import cut, seeded_order
from surgvista_jax.data.labels.tables import class_number, read_frame_table
from surgvista_jax.data.labels.track import FrameLabels

PHASES = tuple(f"phase {number}" for number in range(8))  # their names are not published
VIDEOS = tuple(str(number) for number in range(1, 58))
SIZES = {"train": 39, "val": 6, "test": 12}
SEED = 0
LAYOUT = """\
SOURCE/
  frames/1/00000.png …        a folder of frames for each video, one a second (or videos/1.mp4 …)
  phases/1.txt …              lines SECOND PHASE, both numbers from 0:
      frame phase
      0 0"""


def read(folder: Path) -> Reading:
    """Reads ESD57's folder."""
    places = {video: (f"frames/{video}", f"videos/{video}", video) for video in VIDEOS}
    sources, notes = gather(folder, places)
    recordings = [
        Recording(
            source,
            partial(read_phases, folder / "phases" / f"{source.video}.txt"),
            patient=f"esd57-{source.video}",
        )
        for source in sources
    ]
    text = "the authors drew their splits without a seed; these have the same sizes, seed 0"
    notes.append(Remark("splits", text))
    return Reading(recordings, cut(seeded_order(VIDEOS, SEED), SIZES), notes)


def read_phases(path: Path) -> FrameLabels:
    """Reads a phase file."""

    def parse(text: str, where: str) -> int:
        return class_number(text, where, "phase", len(PHASES))

    return read_frame_table(path, 1, parse, first=0)


DATASET = Official(
    name="esd57",
    title="ESD57",
    task="phase",
    classes=PHASES,
    read=read,
    layout=LAYOUT,
    procedure="endoscopic submucosal dissection",
    centre="not published",
    licence="private",
    access="private: the authors of SurgVISTA",
    citation="S. Yang et al., npj Digital Medicine 2026, doi:10.1038/s41746-026-02403-0",
    published={split: Counts(count) for split, count in SIZES.items()},
)
