"""Which predictions still lack their pages, though whole: a note beside them says it till then.

The same command again then writes the pages alone, from predictions that took hours perhaps.
"""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.data.dataset import Video
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.ownership import Ownership, sha256_of
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.writing import CannotWrite, write_text, writing_to

NOTE = ".surgvista_pages_due.json"
_KEYS = {"words", "weights", "predictions", "status", "places"}

Place = tuple[Path, Video]  # the folder of a dataset, and a video's entry in it


@dataclasses.dataclass(frozen=True)
class PagesDue:
    """That the pages of predictions are to be written; a guard of `writing` that notes it.

    Attributes:
        words: of the command.
        weights: the digest of those that predicted.
        status: what it returns once they are written.
        places: of the videos, whose frames the pages show.
    """

    owned: Ownership
    words: dict[str, Any]
    weights: str
    status: int
    places: Sequence[Place]

    def __call__(self, path: Path, aside: Path) -> None:
        """Notes it, before the predictions `aside` take the place of `path`.

        A disk that has no room for the note may well have it for them, which are there already.

        Raises:
            Foreign: either file in the way is not ours.
        """
        self.owned(path, aside)
        note = {
            "words": self.words,
            "weights": self.weights,
            "predictions": sha256_of(aside),
            "status": self.status,
            "places": [_entry(folder, video) for folder, video in self.places],
        }
        with contextlib.suppress(CannotWrite):
            write_text(self.owned.folder / NOTE, json.dumps(note, indent=1) + "\n", self.owned)

    def left(self, error: UserError) -> str:
        """What is there, and what can be done, where `error` kept the pages from being written."""
        out, again = self.owned.folder, ""
        noted = pages_due(self.owned, self.words, out / PREDICTIONS) is not None
        if noted and isinstance(error, CannotWrite):
            without = " without --overwrite" if self.owned.overwrite else ""
            again = f"the same command again{without} writes the pages, "
        return f"the predictions are whole: {again}`surgvista view {out}` shows them"

    def done(self) -> None:
        """The pages are there: removes the note."""
        path = self.owned.folder / NOTE
        if self.owned.wrote(path):
            with writing_to(path):
                path.unlink()


def pages_due(owned: Ownership, words: dict[str, Any], predictions: Path) -> PagesDue | None:
    """What an earlier start of the same command left to be done; None where that is nothing.

    Args:
        words: of this command.
        predictions: the file that is there. Of another than the note was written for, it says
            nothing.

    Raises:
        UserError: the record of the folder is broken or not ours.
    """
    path = owned.folder / NOTE
    if not path.is_file() or not (owned.wrote(path) and owned.wrote(predictions)):
        return None
    note = read_object(path)
    if note.keys() != _KEYS or note["words"] != words:
        return None  # of another command, or by an earlier version
    if note["predictions"] != sha256_of(predictions):
        return None
    places = [(Path(place.pop("folder")), Video(**place)) for place in note["places"]]
    return PagesDue(owned, words, note["weights"], note["status"], places)


def _entry(folder: Path, video: Video) -> dict[str, Any]:
    """Of a video what a page needs; its labels, one a frame, are in the predictions."""
    entry = dataclasses.asdict(dataclasses.replace(video, labels=None))
    return {"folder": str(folder.absolute()), **entry}
