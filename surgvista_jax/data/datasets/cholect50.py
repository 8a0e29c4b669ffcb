"""CholecT50: the layout of its triplets.

Confirmed by the data loaders of CAMMA-public/cholect50 and of CAMMA-public/rendezvous, with which
other programs agree: the challenge's division, Rendezvous', the five folds (the last five videos
of those that train validate). By maps.txt of rendezvous and label_mapping.txt of the dataset:
triplets and their members.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from surgvista_jax.data.conversion.official import (
    Official,
    Reading,
    Recording,
    counts,
    gather,
    split_ids,
)
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.json_file import read_annotations, whole_numbers
from surgvista_jax.data.labels.track import FrameLabels
from surgvista_jax.errors import UserError
from surgvista_jax.facts.splits import CHOLECT50
from surgvista_jax.facts.triplets import CHOLECT50 as TABLE

ID = "VID{:02d}"
VIDEOS = tuple(
    sorted(ID.format(k) for part in ("train", "val", "test") for k in CHOLECT50[part].numbers)
)
PLACES = (0, 1, 7, 8, 14)  # in a vector, of what is read: triplet, its parts, phase
LAYOUT = """\
SOURCE/
  videos/VID01/000000.png …     a folder of frames for each video, one a second (or frames/VID01)
  labels/VID01.json …           {"fps", "annotations": {frame: [[triplet, instrument, score, box x,
                                y, w, h, verb, target, score, box x, y, w, h, phase], …]}};
                                -1 for no triplet"""


def splits() -> dict[str, tuple[str, ...]]:
    """The challenge's splits (the usual ones), those of Rendezvous, and five folds."""
    return split_ids(CHOLECT50, ID)


def read(folder: Path) -> Reading:
    """Reads CholecT50's official folder."""
    recordings, notes = operations(
        folder,
        {video: (f"videos/{video}", f"frames/{video}", f"data/{video}", video) for video in VIDEOS},
        lambda video: partial(read_triplets, folder / "labels" / f"{video}.json"),
    )
    return Reading(recordings, splits(), notes)


def operations(
    folder: Path,
    places: dict[str, tuple[str, ...]],
    labels_of: Callable[[str], Callable[[], FrameLabels]],
) -> tuple[list[Recording], list[Remark]]:
    """The recordings of CholecT50 or CholecT45, and what is to be said about them.

    Args:
        folder: the official folder.
        places: where in it the frames of each video may lie.
        labels_of: what reads the labels of a video.
    """
    sources, notes = gather(folder, places, fps=1.0)
    recordings = [
        Recording(
            source,
            labels_of(source.video),
            numbered=True,
            patient=f"cholec80-video{source.video[3:]}",
            centre="Strasbourg",
        )
        for source in sources
    ]
    return recordings, notes


def read_vectors(path: Path) -> dict[int, list[list[int]]]:
    """Reads frame -> its vectors, of each: triplet, instrument, verb, target and phase."""
    return {
        frame: [_checked(vector, f"{path}, frame {frame}") for vector in vectors]
        for frame, vectors in read_annotations(path).items()
    }


def read_triplets(path: Path) -> FrameLabels:
    """Reads which triplets each frame shows; a frame with -1 alone shows none."""
    labels = {}
    unfinished = 0
    for frame, vectors in read_vectors(path).items():
        labels[frame] = tuple(sorted({triplet for triplet, *_ in vectors if triplet >= 0}))
        unfinished += sum(
            triplet < 0 and any(part >= 0 for part in parts) for triplet, *parts, _ in vectors
        )
    notes: tuple[str, ...] = ()
    if unfinished:
        notes = (f"{unfinished} instruments without a triplet are passed over",)
    return FrameLabels(labels, 1.0, notes)


def read_phases(path: Path) -> FrameLabels:
    """Reads the phase of each frame, in the order of Cholec80's phases."""
    phases = {frame: vectors[0][-1] for frame, vectors in read_vectors(path).items() if vectors}
    return FrameLabels(phases, 1.0)


def _checked(vector: Any, where: str) -> list[int]:
    if not (isinstance(vector, list) and len(vector) == 15):
        raise UserError(f"{where}: must be a list of 15 numbers, is {vector!r:.40}")
    numbers = whole_numbers([vector[place] for place in PLACES], where)
    if not -1 <= numbers[0] < len(TABLE.rows):
        raise UserError(f"{where}: triplet {numbers[0]} is not from -1 to {len(TABLE.rows) - 1}")
    return numbers


DATASET = Official(
    name="cholect50",
    title="CholecT50",
    task="triplet",
    classes=TABLE.names(),
    read=read,
    layout=LAYOUT,
    procedure="laparoscopic cholecystectomy",
    centre="University Hospital of Strasbourg",
    licence="CC BY-NC-SA 4.0",
    access="https://github.com/CAMMA-public/cholect50 (request form)",
    citation=(
        "C. I. Nwoye et al., Rendezvous: attention mechanisms for the recognition of surgical "
        "action triplets in endoscopic videos, Medical Image Analysis 78, 2022"
    ),
    label_kind="multi",
    published=counts(CHOLECT50, "train", "val", "test", "rdv/train", "rdv/val", "rdv/test"),
)
