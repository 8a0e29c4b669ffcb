"""HeiChole: the videos that are used for pretraining."""

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
  …/Hei-Chole1.mp4 … Hei-Chole24.mp4    at any depth (or folders of frames of these names)"""


def read(folder: Path) -> Reading:
    """Reads every public video of HeiChole; all are for training."""
    sources, problems = gather_named(folder, r"Hei-Chole\d+", "Hei-Chole1.mp4")
    recordings = [Recording(source, patient=f"heichole-{source.video}") for source in sources]
    return Reading(recordings, {"train": [s.video for s in sources]}, problems=problems)


DATASET = Official(
    name="heichole",
    title="HeiChole",
    task="none",
    classes=(),
    read=read,
    layout=LAYOUT,
    procedure="laparoscopic cholecystectomy",
    centre="Heidelberg, Salem and Sinsheim",
    licence="CC BY-NC-SA 4.0",
    access="https://www.synapse.org/heichole",
    citation=(
        "M. Wagner et al., Comparative validation of machine learning algorithms for surgical "
        "workflow and skill analysis with the HeiChole benchmark, Medical Image Analysis 86, 2023"
    ),
    published={"train": Counts(24, 55_139)},
)
