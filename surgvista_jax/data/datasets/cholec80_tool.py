"""Cholec80, for the presence of instruments.

Confirmed by two public programs that read the files (and M2CAI16-tool's, which are alike): the
columns and their order, a line each 25 frames.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import Reading
from surgvista_jax.data.datasets import cholec80
from surgvista_jax.data.labels.presence import read_presence
from surgvista_jax.facts.instruments import CHOLEC80

LAYOUT = """\
SOURCE/
  videos/video01.mp4 … video80.mp4              (or frames/video01/*.jpg, one a second)
  tool_annotations/video01-tool.txt …           separated by tabs, a line each 25 frames, from 0:
      Frame   Grasper  Bipolar  Hook  Scissors  Clipper  Irrigator  SpecimenBag
      0       1        0        0     0         0        0          0
      25      1        0        1     0         0        0          0"""


def read(folder: Path) -> Reading:
    """Reads Cholec80's official folder; the videos and splits are those of its phases."""
    reading = cholec80.read(folder)
    labels = folder / "tool_annotations"
    recordings = [
        replace(
            recording,
            read_labels=partial(
                read_presence,
                labels / f"{recording.source.video}-tool.txt",
                CHOLEC80,
                cholec80.LABEL_FPS,
            ),
        )
        for recording in reading.recordings
    ]
    return replace(reading, recordings=recordings)


DATASET = replace(
    cholec80.DATASET,
    name="cholec80_tool",
    title="Cholec80 (tool presence)",
    task="tool",
    classes=CHOLEC80,
    read=read,
    layout=LAYOUT,
    label_kind="multi",
)
