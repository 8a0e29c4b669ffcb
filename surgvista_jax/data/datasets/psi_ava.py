"""PSI-AVA: the videos that are used for pretraining."""

from pathlib import Path

from surgvista_jax.data.conversion.official import (
    Counts,
    Official,
    Reading,
    Recording,
    gather_named,
)

LAYOUT = """\
SOURCE/
  …/CASE001.mp4 …       at any depth (or folders of frames, keyframes/CASE001/00000.jpg)"""


def read(folder: Path) -> Reading:
    """Reads every video of PSI-AVA; all are for training."""
    sources, problems = gather_named(folder, r"CASE\d+", "CASE001.mp4")
    recordings = [Recording(source, patient=f"psi-ava-{source.video}") for source in sources]
    return Reading(recordings, {"train": [s.video for s in sources]}, problems=problems)


DATASET = Official(
    name="psi-ava",
    title="PSI-AVA",
    task="none",
    classes=(),
    read=read,
    layout=LAYOUT,
    procedure="robot-assisted radical prostatectomy",
    centre="Fundación Santa Fe de Bogotá",
    licence="its terms come with the files",
    access="https://github.com/BCV-Uniandes/TAPIR",
    citation=("N. Valderrama et al., Towards holistic surgical scene understanding, MICCAI 2022"),
    published={"train": Counts(8, 72_318)},
)
