"""Predictions whose videos are divided among machines: their moments, kept until they are merged.

A part keeps what the model said of a video, before any smoothing, in a file by the number that the
video has among all; a part that was killed does not look at it again. The merge takes them in the
order of the videos, and does with them what one run does with what it computes.
"""

import dataclasses
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from surgvista_jax.archives import UNREADABLE
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.dataset import Video
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.inference.recordings import Moments
from surgvista_jax.inference.remarks import Remarks
from surgvista_jax.json_object import read_object
from surgvista_jax.parts.kept import PATTERN, kept_path, read_kept, write_kept
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.plan_file import Item
from surgvista_jax.writing import write_json

PREDICT = "predict"  # the command
_REST = "remarks.json"  # what is to be said of videos of which no moment is kept
KEPT = (PATTERN, _REST)  # in the folder of a part


@dataclasses.dataclass
class Choice:
    """Which of the videos of all parts does this process look at?

    Attributes:
        parts: of which this process does one, or which it merges.
        facts: what else must be the same in all.
        items: the videos of all, once `__call__` was given them.
        own: the numbers of those of this process.
    """

    parts: Parts
    facts: dict[str, str]
    items: Sequence[Item] = ()
    own: Sequence[int] = ()

    def __call__(self, items: Sequence[Item]) -> list[int]:
        """Those that the part's folder lacks; of a merge, none."""
        self.items, self.own = items, self.parts.begin(items, self.facts)
        if self.parts.part.is_merge:
            return []
        return [number for number in self.own if self._about(number) is None]

    def keep(self, each: Generator[Moments, None, None], remarks: Remarks) -> list[str]:
        """Keeps each video as soon as it is finished; returns those of which nothing came.

        Args:
            each: is closed in the end.
            remarks: what there is to say of the videos; those kept before say it again.

        Raises:
            UserError: what `each` raises; the folder cannot be written.
        """
        folder = self.parts.folder
        for number in self.own:
            if (about := self._about(number)) is not None:
                _tell(about["remarks"], remarks)
        numbers, told = {self.items[number][0]: number for number in self.own}, (0, 0)
        with closing(each):
            for moments in each:
                said, told = _since(told, remarks), (len(remarks.problems), len(remarks.notes))
                _write(kept_path(folder, numbers[moments.video.video]), moments, said)
        write_json(folder / _REST, _since(told, remarks))
        return [self.items[n][0] for n in self.own if self._about(n) is None]

    def kept(self, remarks: Remarks) -> Generator[Moments, None, None]:
        """What all parts kept, in the order of the videos.

        Args:
            remarks: where that is noted which the parts had to say of videos.

        Raises:
            UserError: a file is damaged; it is removed.
        """
        for folder in self.parts.folders:
            if (folder / _REST).is_file():
                _tell(read_object(folder / _REST), remarks)
        nothing = {n: self.parts.nothing_of(n) for n in range(1, self.parts.part.of + 1)}
        for number, part in enumerate(self.parts.part_of(self.items)):
            path = kept_path(self.parts.folder_of(part), number)
            if self.items[number][0] in nothing[part] and not path.is_file():
                continue
            try:
                about, moments = _read(path)
            except UNREADABLE:
                path.unlink(missing_ok=True)
                what = f"what was said of video {self.items[number][0]!r} is missing or damaged"
                raise self.parts.not_whole(part, what) from None
            _tell(about["remarks"], remarks)
            yield moments

    def _about(self, number: int) -> dict[str, Any] | None:
        """What this part noted of a video that it keeps."""
        try:
            return _read(kept_path(self.parts.folder, number))[0]
        except UNREADABLE:
            return None


def _write(path: Path, moments: Moments, said: Mapping[str, Any]) -> None:
    video = dataclasses.asdict(dataclasses.replace(moments.video, labels=None, damage=None))
    about = {
        "folder": str(moments.folder.absolute()),
        "video": video,
        "damage": moments.damage,
        "remarks": said,
    }
    outputs = moments.outputs._asdict()
    write_kept(path, about, {key: value for key, value in outputs.items() if value is not None})


def _read(path: Path) -> tuple[dict[str, Any], Moments]:
    about, arrays = read_kept(path)
    outputs = Outputs(**{"unreadable": None, **arrays})
    damage = tuple(about.get("damage", ()))  # earlier versions kept none
    return about, Moments(Video(**about["video"]), Path(about["folder"]), outputs, damage)


def _since(told: tuple[int, int], remarks: Remarks) -> dict[str, list[list[str]]]:
    return {
        "problems": [[r.path, r.text] for r in remarks.problems[told[0] :]],
        "notes": [[r.path, r.text] for r in remarks.notes[told[1] :]],
    }


def _tell(said: dict[str, list[list[str]]], remarks: Remarks) -> None:
    """Adds what is not among the remarks: a part that was started again says some twice."""

    def new(kept: Iterable[Sequence[str]], known: Sequence[Remark]) -> list[Remark]:
        return [each for each in dict.fromkeys(Remark(*pair) for pair in kept) if each not in known]

    remarks.add(new(said["problems"], remarks.problems), new(said["notes"], remarks.notes))
