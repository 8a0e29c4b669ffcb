"""CholecT50: the layout of its triplets."""

import json
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
from surgvista_jax.data.labels.tables import read_text
from surgvista_jax.data.labels.track import FrameLabels
from surgvista_jax.errors import UserError
from surgvista_jax.facts.splits import CHOLECT50
from surgvista_jax.facts.triplets import CHOLECT50 as TABLE

ID = "VID{:02d}"
VIDEOS = tuple(
    sorted(ID.format(k) for part in ("train", "val", "test") for k in CHOLECT50[part].numbers)
)
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


def read_annotations(path: Path) -> dict[int, list[list[float]]]:
    """Reads frame -> its 15-vectors."""
    text = read_text(path)
    try:
        annotations = json.loads(text)["annotations"]
        return {int(frame): vectors for frame, vectors in annotations.items()}
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from None
    except (KeyError, TypeError, AttributeError, ValueError):
        raise UserError(f"{path}, line 1: must hold `annotations`, by frame number") from None


def read_triplets(path: Path) -> FrameLabels:
    """Reads which triplets each frame shows; a frame with -1 alone shows none."""
    labels = {}
    unfinished = 0
    for frame, vectors in read_annotations(path).items():
        on = set()
        for vector in vectors:
            triplet = _triplet(vector, f"{path}, frame {frame}")
            if triplet >= 0:
                on.add(triplet)
            elif any(part >= 0 for part in (vector[1], *vector[7:9])):
                unfinished += 1
        labels[frame] = tuple(sorted(on))
    notes: tuple[str, ...] = ()
    if unfinished:
        notes = (f"{unfinished} instruments without a triplet are passed over",)
    return FrameLabels(labels, 1.0, notes)


def read_phases(path: Path) -> FrameLabels:
    """Reads the phase of each frame, in the order of Cholec80's phases."""
    phases = {frame: int(v[0][14]) for frame, v in read_annotations(path).items() if v}
    return FrameLabels(phases, 1.0)


def _triplet(vector: Any, where: str) -> int:
    if not (isinstance(vector, list) and len(vector) == 15):
        raise UserError(f"{where}: must be a list of 15 numbers")
    triplet = vector[0]
    if not (isinstance(triplet, int) and -1 <= triplet < len(TABLE.rows)):
        raise UserError(f"{where}: triplet {triplet!r} is not from -1 to {len(TABLE.rows) - 1}")
    return triplet


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
