"""CholecT50, for the instruments of its triplets.

What was confirmed is that of its triplets.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import Reading
from surgvista_jax.data.datasets import cholect50
from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.facts.triplets import CHOLECT50

INSTRUMENTS = CHOLECT50.component_ids("i")  # int [triplets]


def read(folder: Path) -> Reading:
    """Reads CholecT50's official folder; the videos and splits are those of its triplets."""
    reading = cholect50.read(folder)
    recordings = [
        replace(
            recording,
            read_labels=partial(
                read_instruments, folder / "labels" / f"{recording.source.video}.json"
            ),
        )
        for recording in reading.recordings
    ]
    return replace(reading, recordings=recordings)


def read_instruments(path: Path) -> FrameLabels:
    """Reads the instruments of each frame's triplets; those that do nothing have one as well."""
    track = cholect50.read_triplets(path)
    by_number: dict[int, Label] = {}
    for frame, triplets in track.by_number.items():
        assert isinstance(triplets, tuple)  # a frame shows any number of them
        by_number[frame] = tuple(sorted({int(INSTRUMENTS[triplet]) for triplet in triplets}))
    return replace(track, by_number=by_number)


DATASET = replace(
    cholect50.DATASET,
    name="cholect50_tool",
    title="CholecT50 (instruments)",
    task="tool",
    classes=CHOLECT50.class_names("i"),
    read=read,
)
