"""Cataract-21: the layout of its phases.

Confirmed by SurgVISTA and other programs that read the files: the phases by their names.
Unconfirmed, as SurgVISTA alone tells it: their order, Tonisieren and Antibiotikum as one class,
the division 17/4 (another of its programs divides 18/3).
"""

from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import Counts, Official, Reading, Recording, gather
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.names import ClassNames
from surgvista_jax.data.labels.tables import read_frame_table
from surgvista_jax.data.labels.track import FrameLabels

PHASES = (
    "not_initialized",
    "Incision",
    "Viscoelasticum",
    "Rhexis",
    "Hydrodissektion",
    "Phako",
    "Irrigation-Aspiration",
    "Kapselpolishing",
    "Linsenimplantation",
    "Visco-Absaugung",
    "Tonisieren AND Antibiotikum",
)
ALIASES = {
    "Tonisieren": "Tonisieren AND Antibiotikum",
    "Antibiotikum": "Tonisieren AND Antibiotikum",
}
LABEL_FPS = 25
VIDEOS = tuple(f"case_{number:02d}" for number in range(1, 22))
SPLITS = {"train": VIDEOS[:17], "test": VIDEOS[17:]}
LAYOUT = """\
SOURCE/
  videos/case_01.mp4 … case_21.mp4      (or frames/case_01/*.png, one a second)
  labels/case_01.csv …                  lines FRAME,PHASE, 25 a second, from 0:
      0,not_initialized
      1,Incision"""


def read(folder: Path) -> Reading:
    """Reads Cataract-21's official folder."""
    places = {video: (f"videos/{video}", f"frames/{video}", video) for video in VIDEOS}
    sources, notes = gather(folder, places)
    recordings = [
        Recording(
            source,
            partial(read_phases, folder / "labels" / f"{source.video}.csv"),
            patient=f"cataract21-{source.video}",
        )
        for source in sources
    ]
    text = "Tonisieren and Antibiotikum, where told apart, are one class"
    return Reading(recordings, SPLITS, [*notes, Remark("classes", text)])


def read_phases(path: Path) -> FrameLabels:
    """Reads a phase file."""
    return read_frame_table(path, LABEL_FPS, ClassNames(PHASES, ALIASES).id_of, first=0)


DATASET = Official(
    name="cataract21",
    title="Cataract-21",
    task="phase",
    classes=PHASES,
    read=read,
    layout=LAYOUT,
    procedure="cataract surgery",
    centre="Klinikum Klagenfurt",
    licence="for research; its terms come with the files",
    access="https://ftp.itec.aau.at/datasets/ovid (Klagenfurt University)",
    citation=(
        "M. J. Primus et al., Frame-based classification of operation phases in cataract surgery "
        "videos, MultiMedia Modeling 2018"
    ),
    published={"train": Counts(17), "test": Counts(4)},
)
