"""The journal of a conversion: the finished videos of an output folder, and their settings.

The journal is a file of JSON lines: the settings, then a line for each finished video.  A line is
written only when the video's frames are in place, so that a conversion that was killed at any
moment goes on from what the journal says.
"""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from surgvista_jax.books import open_place
from surgvista_jax.data.conversion.extract import Extracted
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.errors import UserError
from surgvista_jax.json_lines import read_lines, say_torn

_ADVICE = (
    "delete that line, and its video is extracted again (line 1 holds the settings of all: without"
    " it give another --out)"
)


@dataclass(frozen=True)
class Finished:
    """A video whose frames are in place; `key`, `video` and `size` are those of its source."""

    key: str
    video: str
    size: int
    extracted: Extracted

    def is_of(self, source: SourceVideo) -> bool:
        return (self.key, self.video, self.size) == (source.key, source.video, source.size)


T = TypeVar("T")


def _typed(cls: type[T], values: dict[str, Any]) -> T:
    """A dataclass of what a line says; TypeError for other keys, or values of another type."""
    made = cls(**values)
    for name, hint in get_type_hints(cls).items():
        options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        kinds = [get_origin(option) or option for option in options]
        kinds += [int] if float in kinds else []
        if not isinstance(getattr(made, name), tuple(kinds)):
            raise TypeError(name)
    return made


class Journal:
    """The open journal of one output folder, which this process has for itself.

    Attributes:
        finished: id -> the video's last line.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        """Opens the journal, or begins it.

        Raises:
            UserError: the folder was begun with other settings, or the file is not ours.
            OSError: the file cannot be read or written.
        """
        self.finished: dict[str, Finished] = {}
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open_place(path, os.O_RDWR | os.O_APPEND)
        try:
            self._load(settings)
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *unused: object) -> None:
        os.close(self._file)

    def append(self, entry: Finished) -> None:
        """Adds a finished video."""
        self._write(dataclasses.asdict(entry))
        self.finished[entry.video] = entry

    def _write(self, line: dict[str, Any]) -> None:
        data = (json.dumps(line) + "\n").encode()
        written = os.write(self._file, data)
        if written < len(data):
            os.write(self._file, data[written:])

    def _is_torn_settings(self) -> bool:
        """Whether a file without a whole line is a first line of ours that was cut short."""
        start = b'{"settings": '
        data = os.pread(self._file, len(start), 0)
        return start.startswith(data)

    def _load(self, settings: dict[str, Any]) -> None:
        notes: list[str] = []
        lines = list(read_lines(self._path, advice=_ADVICE, torn=notes.append))
        begun = lines[0].values.get("settings") if lines else settings
        if not isinstance(begun, dict) or not (lines or self._is_torn_settings()):
            raise UserError(f"{self._path}, line 1: not the settings of a conversion; {_ADVICE}")
        for note in notes:
            say_torn(note)
        # What was being written when the process was killed or the disk was full is cut off.
        os.ftruncate(self._file, end := lines[-1].end if lines else 0)
        if end and os.pread(self._file, 1, end - 1) != b"\n":
            os.write(self._file, b"\n")
        if not lines:
            self._write({"settings": settings})
            return
        for line in lines[1:]:
            try:
                extracted = _typed(Extracted, line.values["extracted"])
                entry = _typed(Finished, {**line.values, "extracted": extracted})
                self.finished[entry.video] = entry
            except (TypeError, KeyError):
                raise UserError(
                    f"{self._path}, line {line.number}: not a line of this journal; {_ADVICE}"
                ) from None
        keys = [*settings, *(key for key in begun if key not in settings)]
        differing = [key for key in keys if begun.get(key) != settings.get(key)]
        if differing:
            changes = ", ".join(
                f"{key} was {begun.get(key)!r} and is {settings.get(key)!r}" for key in differing
            )
            raise UserError(
                f"{self._path.parent.parent}: begun with other settings: {changes}; give the same "
                "ones, or another --out"
            )
