"""CholecT45: the layout of its triplets as text.

Confirmed by CAMMA-public/cholect45 and the data loader of CAMMA-public/rendezvous: the folds; a
frame and 100 cells a line, frames from 0, one a second. Unconfirmed: ids of triplets in place of 0
and 1, a layout that SurgVISTA alone tells.
"""

from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import Official, Reading, counts, split_ids
from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.datasets.cholect50 import ID, operations
from surgvista_jax.data.labels.tables import read_frame_table
from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.errors import UserError
from surgvista_jax.facts.splits import CHOLECT45
from surgvista_jax.facts.triplets import CHOLECT50 as TABLE
from surgvista_jax.facts.whole_numbers import whole

VIDEOS = tuple(
    sorted(ID.format(k) for part in ("train", "val", "test") for k in CHOLECT45[part].numbers)
)
LAYOUT = """\
SOURCE/
  data/VID01/000000.png …       a folder of frames for each video, one a second (or videos/VID01)
  triplet/VID01.txt …           either layout:
      0,0,0,1,0,…                 frame, then 0 or 1 for each of the 100 triplets
      0 17,94                     frame, then the ids of the triplets, or -1 for none told"""


def splits() -> dict[str, tuple[str, ...]]:
    """Five folds, of which the first are the usual splits too."""
    return split_ids(CHOLECT45, ID)


def read(folder: Path) -> Reading:
    """Reads CholecT45's official folder."""
    recordings, notes = operations(
        folder,
        {video: (f"data/{video}", f"videos/{video}", f"frames/{video}", video) for video in VIDEOS},
        lambda video: partial(read_triplets, folder / "triplet" / f"{video}.txt"),
    )
    return Reading(recordings, splits(), notes)


def read_triplets(path: Path) -> FrameLabels:
    """Reads either layout of a triplet file."""
    track = read_frame_table(path, 1, parse, first=0)
    labelled = {frame: label for frame, label in track.by_number.items() if label != UNLABELLED}
    notes = track.notes
    if len(labelled) < len(track.by_number):
        notes += (f"{len(track.by_number) - len(labelled)} frames with -1 are unlabelled",)
    return FrameLabels(labelled, 1.0, notes)


def parse(text: str, where: str) -> Label:
    """Triplet ids from `0,1,0,…` (one cell for each triplet) or from `17,94`; -1 is unlabelled."""
    num_triplets = len(TABLE.rows)
    numbers = []
    for cell in text.replace(",", " ").split():
        number = whole(cell)
        if number is None:
            raise UserError(f"{where}: {text[:40]!r} are not numbers")
        numbers.append(number)
    if len(numbers) == num_triplets:
        if not set(numbers) <= {0, 1}:
            raise UserError(f"{where}: {num_triplets} cells must be 0 or 1")
        return tuple(k for k, on in enumerate(numbers) if on)
    if numbers == [-1]:
        return UNLABELLED
    if not all(0 <= number < num_triplets for number in numbers):
        raise UserError(
            f"{where}: must hold {num_triplets} cells of 0 or 1, or ids from 0 to "
            f"{num_triplets - 1}"
        )
    return tuple(sorted(set(numbers)))


DATASET = Official(
    name="cholect45",
    title="CholecT45",
    task="triplet",
    classes=TABLE.names(),
    read=read,
    layout=LAYOUT,
    procedure="laparoscopic cholecystectomy",
    centre="University Hospital of Strasbourg",
    licence="CC BY-NC-SA 4.0",
    access="https://github.com/CAMMA-public/cholect45 (request form)",
    citation=(
        "C. I. Nwoye and N. Padoy, Data splits and metrics for benchmarking methods on surgical "
        "action triplet datasets, arXiv:2204.05235, 2022"
    ),
    label_kind="multi",
    published=counts(CHOLECT45, "train", "val", "test"),
)
