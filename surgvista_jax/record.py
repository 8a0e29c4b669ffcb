"""The record of what commands wrote to a folder: lines of JSON, added before a file is in place.

    {"file": name, "size": bytes, "sha256": hex digits}
    {"frames": video, "num_frames": number, "checksums": 8 hex digits for each frame}

It is read once, and again only where another process has added to it.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from surgvista_jax.books import NotOurs, begins_as, check_place, open_place
from surgvista_jax.errors import UserError
from surgvista_jax.json_lines import read_lines

_KEYS: dict[str, dict[str, type]] = {
    "file": {"size": int, "sha256": str},
    "frames": {"num_frames": int, "checksums": str},
}
_OURS = re.compile(rb'^\s*\{\s*"(file|frames)"\s*:', re.MULTILINE)
_BEGINNINGS = [f'{{"{kind}": '.encode() for kind in _KEYS]
_ADVICE = "delete that line: what it names then counts as written by somebody else"


class Record:
    """The record of a folder, which need not exist.

    Every method raises UserError where a line is broken (a last one that a kill cut short is passed
    over), and NotOurs where a link, a folder or somebody else's file is in its place.
    """

    def __init__(self, path: Path):
        self.path = path
        self._known: tuple[int, int] | None = None  # inode and size of what was read
        self._end = 0  # of its last whole line
        self._lines: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def check(self) -> None:
        """Whether it can be read, and added to."""
        check_place(self.path)
        try:
            now = self.path.stat()
        except OSError:
            self._known, self._end = None, 0
            self._lines.clear()
            return
        if self._known == (now.st_ino, now.st_size):
            return
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        if data and not _OURS.search(data) and not begins_as(data, _BEGINNINGS):
            raise NotOurs(self.path, "was not written by this program")
        self._lines.clear()
        self._end = 0
        for line in read_lines(self.path, required=_lacks, advice=_ADVICE, torn=lambda note: None):
            self._take(line.values)
            self._end = line.end
        self._known = (now.st_ino, len(data))

    def lines(self, kind: str, name: str) -> list[dict[str, Any]]:
        """The lines of a file ("file") or of a video's frames ("frames"), the oldest first."""
        self.check()
        return self._lines.get((kind, name), [])

    def add(self, line: dict[str, Any]) -> None:
        """Adds a line, in one write; a last one that was cut short goes.

        Raises:
            OSError: it cannot be written.
        """
        self.check()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open_place(self.path, os.O_RDWR | os.O_APPEND)
        try:
            found = os.fstat(file)
            alone = found.st_size == 0 or self._known == (found.st_ino, found.st_size)
            end = self._end if alone else found.st_size
            if end < found.st_size:
                os.ftruncate(file, end)
            unended = end > 0 and os.pread(file, 1, end - 1) != b"\n"
            data = b"\n" * unended + json.dumps(line).encode() + b"\n"
            size = end + len(data)
            while data:
                data = data[os.write(file, data) :]
        finally:
            os.close(file)
        if alone:  # else another process adds lines too, and all are read again
            self._take(line)
            self._known, self._end = (found.st_ino, size), size

    def _take(self, line: dict[str, Any]) -> None:
        for kind in _KEYS.keys() & line.keys():
            self._lines.setdefault((kind, line[kind]), []).append(line)


def _lacks(line: dict[str, Any]) -> str | None:
    """What a line lacks, in words; lines of other kinds are a later version's."""
    for kind, keys in _KEYS.items():
        whole = all(isinstance(line.get(key), type_) for key, type_ in keys.items())
        if kind in line and not (whole and isinstance(line[kind], str)):
            return f"'{kind}' should come with {' and '.join(keys)}"
    return None
