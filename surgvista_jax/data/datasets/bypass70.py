"""BernBypass70 and StrasBypass70: the videos that are used for pretraining.

Confirmed by CAMMA-public/MultiBypass140 and SurgVISTA: 70 videos of each centre. Unconfirmed:
303,764 and 457,787 frames, told by SurgVISTA alone.
"""

from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import (
    Counts,
    Official,
    Reading,
    Recording,
    gather_named,
)

LICENCE = "CC BY-NC-SA 4.0"
ACCESS = "https://github.com/CAMMA-public/MultiBypass140"
CITATION = (
    "J. L. Lavanchy et al., Challenges in multi-centric generalization: phase and step recognition "
    "in Roux-en-Y gastric bypass surgery, IJCARS 2024"
)


def read(folder: Path, prefix: str, centre: str) -> Reading:
    """Reads every video of one centre; all are for training."""
    sources, problems = gather_named(folder, rf"{prefix}\d+", f"{prefix}01.mp4")
    recordings = [Recording(s, patient=f"bypass-{s.video}", centre=centre) for s in sources]
    return Reading(recordings, {"train": [s.video for s in sources]}, problems=problems)


def _dataset(name: str, title: str, prefix: str, centre: str, town: str, frames: int) -> Official:
    layout = f"""\
SOURCE/
  …/{prefix}01.mp4 … {prefix}70.mp4      at any depth (or folders of frames of these names)"""
    return Official(
        name=name,
        title=title,
        task="none",
        classes=(),
        read=partial(read, prefix=prefix, centre=town),
        layout=layout,
        procedure="laparoscopic Roux-en-Y gastric bypass",
        centre=centre,
        licence=LICENCE,
        access=ACCESS,
        citation=CITATION,
        published={"train": Counts(70, frames)},
    )


DATASETS = (
    _dataset("bernbypass70", "BernBypass70", "BBP", "Inselspital, Bern", "Bern", 303_764),
    _dataset(
        "strasbypass70",
        "StrasBypass70",
        "SBP",
        "University Hospital of Strasbourg",
        "Strasbourg",
        457_787,
    ),
)
