"""Which predictions still lack their pages, though whole: a note beside them says it till then.

The same command again then writes the pages alone, from predictions that took hours perhaps.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.data.dataset import Video
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.ownership import Ownership, sha256_of
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.writing import CannotWrite, write_text, writing_to

NOTE = ".surgvista_pages_due.json"
_ROOM = "room"  # the key of a note that is still to be written
_ENTRY = 2048  # bytes that a video's entry may have beyond what is known of it before
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

        A disk that has no room for the note may well have it for them, which are there already;
        `room_for_note` has kept some.

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
        path, text = self.owned.folder / NOTE, json.dumps(note, indent=1) + "\n"
        try:
            write_text(path, text, self.owned)
        except CannotWrite:
            self.done()  # which gives back its room
            with contextlib.suppress(CannotWrite):
                write_text(path, text, self.owned)

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
        _remove(self.owned)


@contextlib.contextmanager
def room_for_note(
    owned: Ownership, words: dict[str, Any], videos: Sequence[Video]
) -> Iterator[None]:
    """Takes the room of the note on the disk before what it is noted of is computed, in hours.

    If nothing comes of that, the room is given back. An earlier note stays till there is a new one.

    Raises:
        CannotWrite: there is no room, and there would be none for predictions.
    """
    path = owned.folder / NOTE
    if path.exists() and _ROOM not in read_object(path):
        yield
        return
    known = json.dumps([words, [_entry(Path("/"), video) for video in videos]], indent=1)
    kept = len(known) + _ENTRY * (1 + len(videos))
    write_text(path, json.dumps({_ROOM: "." * kept}) + "\n", owned)
    try:
        yield
    except BaseException:
        _remove(owned)
        raise


def _remove(owned: Ownership) -> None:
    path = owned.folder / NOTE
    if owned.wrote(path):
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
    """Of a video what a page needs; its labels and its damage are in the predictions."""
    entry = dataclasses.asdict(dataclasses.replace(video, labels=None, damage=None))
    return {"folder": str(folder.absolute()), **entry}
