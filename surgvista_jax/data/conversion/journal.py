"""The journal of a conversion: the finished videos of an output folder, and their settings.

The journal is a file of JSON lines: the settings, then a line for each finished video.  A line is
written only when the video's frames are in place, so that a conversion that was killed at any
moment goes on from what the journal says.
"""

import dataclasses
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgvista_jax.data.conversion.extract import Extracted
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.errors import UserError


@dataclass(frozen=True)
class Finished:
    """A video whose frames are in place; `key`, `video` and `size` are those of its source."""

    key: str
    video: str
    size: int
    extracted: Extracted

    def is_of(self, source: SourceVideo) -> bool:
        return (self.key, self.video, self.size) == (source.key, source.video, source.size)


class Journal:
    """The open journal of one output folder; holds a lock on it, which ends with the process.

    Attributes:
        finished: id -> the video's last line.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        """Opens the journal, or begins it.

        Raises:
            UserError: the folder was begun with other settings, or another process uses it.
            OSError: the file cannot be read or written.
        """
        self.finished: dict[str, Finished] = {}
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock()
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

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self._path}: another conversion is writing to this folder; wait for its end"
            ) from None
        except OSError:
            pass  # a file system without locks

    def _load(self, settings: dict[str, Any]) -> None:
        data = Path(self._path).read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        # A line without end was being written when the process was killed or the disk was full.
        os.ftruncate(self._file, len(whole))
        lines = whole.splitlines()
        if not lines:
            self._write({"settings": settings})
            return
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                if number == 1:
                    begun = entry["settings"]
                else:
                    entry["extracted"] = Extracted(**entry["extracted"])
                    self.finished[entry["video"]] = Finished(**entry)
            except (ValueError, TypeError, KeyError):
                raise UserError(
                    f"{self._path}, line {number}: not a line of this journal; delete the file to "
                    "convert every video anew"
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
