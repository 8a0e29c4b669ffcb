"""CholecT50: how are its triplets laid out?"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from surgvista_jax.data.conversion.official import Counts, Official, Reading, Recording, gather
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.tables import read_text
from surgvista_jax.data.labels.track import FrameLabels
from surgvista_jax.data.labels.triplets import CHOLEC, TripletTable
from surgvista_jax.errors import UserError

TABLE: TripletTable = CHOLEC


def ids(*numbers: int) -> tuple[str, ...]:
    """Video ids of these numbers."""
    return tuple(f"VID{number:02d}" for number in numbers)


# fmt: off
FOLDS = (
    ids(79, 2, 51, 6, 25, 14, 66, 23, 50, 111),
    ids(80, 32, 5, 15, 40, 47, 26, 48, 70, 103),
    ids(31, 57, 36, 18, 52, 68, 10, 8, 73, 92),
    ids(42, 29, 60, 27, 65, 75, 22, 49, 12, 96),
    ids(78, 43, 62, 35, 74, 1, 56, 4, 13, 110),
)
CHALLENGE = {
    "val": ids(5, 18, 36, 65, 74),
    "test": ids(92, 96, 103, 110, 111),
}
RDV = {
    "val": ids(8, 12, 29, 50, 78),
    "test": ids(6, 51, 10, 73, 14, 74, 32, 80, 42, 111),
}
# fmt: on
VIDEOS = tuple(sorted({video for fold in FOLDS for video in fold}))
LAYOUT = """\
SOURCE/
  videos/VID01/000000.png …     a folder of frames for each video, one a second (or frames/VID01)
  labels/VID01.json …           {"fps", "annotations": {frame: [[triplet, instrument, score, box x,
                                y, w, h, verb, target, score, box x, y, w, h, phase], …]}};
                                -1 for no triplet"""


def splits() -> dict[str, tuple[str, ...]]:
    """The challenge's splits (the usual ones), those of Rendezvous, and five folds."""
    made = {}
    for scheme, parts in (("", CHALLENGE), ("rdv/", RDV)):
        held = {video for part in parts.values() for video in part}
        made[f"{scheme}train"] = tuple(video for video in VIDEOS if video not in held)
        made |= {f"{scheme}{name}": part for name, part in parts.items()}
    return made | fold_splits(FOLDS)


def fold_splits(folds: Sequence[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Each fold tests once; of the others, strung together, the last five videos validate."""
    made = {}
    for number, test in enumerate(folds, start=1):
        others = [video for fold in folds if fold is not test for video in fold]
        made[f"fold{number}/train"] = tuple(others[:-5])
        made[f"fold{number}/val"] = tuple(others[-5:])
        made[f"fold{number}/test"] = tuple(test)
    return made


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
    notes = ()
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
    published={
        "train": Counts(40),
        "val": Counts(5),
        "test": Counts(5),
        "rdv/train": Counts(35),
        "rdv/val": Counts(5),
        "rdv/test": Counts(10),
    },
)
