"""PitVis: the videos that are used for pretraining."""

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
  …/video_01.mp4 … video_25.mp4     at any depth (or folders of frames of these names)"""


def read(folder: Path) -> Reading:
    """Reads every public video of PitVis; all are for training."""
    sources, problems = gather_named(folder, r"video_\d+", "video_01.mp4")
    recordings = [Recording(source, patient=f"pitvis-{source.video}") for source in sources]
    return Reading(recordings, {"train": [s.video for s in sources]}, problems=problems)


DATASET = Official(
    name="pitvis",
    title="PitVis",
    task="none",
    classes=(),
    read=read,
    layout=LAYOUT,
    procedure="endoscopic pituitary surgery",
    centre="National Hospital for Neurology and Neurosurgery, London",
    licence="its terms come with the files",
    access="https://rdr.ucl.ac.uk (PitVis challenge)",
    citation=(
        "A. Das et al., PitVis-2023 challenge: workflow recognition in videos of endoscopic "
        "pituitary surgery, arXiv:2409.01184, 2024"
    ),
    published={"train": Counts(25, 120_018)},
)
