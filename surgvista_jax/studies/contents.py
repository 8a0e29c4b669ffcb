"""What do files of weights hold? Their digests, which tell the same weights at another place.

A digest is computed once: it stands in `definitions/weights.json` with the file's size and time.
Of a folder it is that of the digests which were noted when it was written: no array is read.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.studies.cells import RANDOM
from surgvista_jax.studies.layout import DEFINITIONS
from surgvista_jax.weights.files.folders import file_within
from surgvista_jax.weights.files.shards import files_of, sha256_of_files
from surgvista_jax.writing import write_json

_MEMORY = "weights.json"
_LARGE = 1 << 29  # bytes, of which one waits for the digest
# Of an imported folder or a checkpoint, and where checkpoints lie in a run, the chosen one first.
_DIGESTS = Path("digests", "metadata")
_CHECKPOINTS = ("best/checkpoints", "checkpoints", ".")


class Contents:
    """The contents of weights; called with `[NAME:]PATH[#KEY]` it gives what a definition holds.

    That is {"at", "name", "key", "sha256"}, or the text as it is where nothing is known: no such
    file is here, nor was it when the study began.

    Args:
        out: the study's folder.
        begins: whether the study does now; until it has nothing can be stale, and nothing is read.
        tell: takes a line before a large file is read.

    Attributes:
        missing: those that it was called with and that are not here.
    """

    def __init__(self, out: Path, begins: bool, tell: Callable[[str], None]):
        self._path, self._tell = out / DEFINITIONS / _MEMORY, tell
        self._known: dict[str, Any] = {}
        self._reads = begins or self._path.is_file()
        self._is_new = False
        self.missing: list[str] = []
        self._given: dict[str, Any] = {}
        if self._path.is_file():
            with suppress(UserError):  # they are computed again
                self._known = read_object(self._path)

    def __call__(self, spec: str) -> Any:
        if spec not in self._given:  # many cells start from the same
            self._given[spec] = self._content(spec)
        return self._given[spec]

    def _content(self, spec: str) -> Any:
        name, path, key = _parted(spec)
        if not (spec == RANDOM or "://" in spec or os.path.exists(path)):
            self.missing.append(spec)
        digest = self._digest(path) if self._reads and spec != RANDOM else None
        if digest is None:
            return spec
        return {"at": spec, "name": name, "key": key, "sha256": digest}

    def remember(self) -> None:
        """Writes down what was computed.

        Raises:
            CannotWrite: it cannot be written.
        """
        if self._is_new:
            write_json(self._path, self._known)
            self._is_new = False

    def _digest(self, path: str) -> str | None:
        place = os.path.abspath(path)
        before = self._known.get(place)
        before = before if isinstance(before, Mapping) else {}
        try:
            file = _file_of(Path(path))
            if file is None:
                return before.get("sha256")
            stats = [part.stat() for part in {file, *files_of(file)}]
            now = {"size": sum(x.st_size for x in stats), "time": max(x.st_mtime_ns for x in stats)}
            if now != {key: before.get(key) for key in now}:
                if now["size"] > _LARGE:
                    self._tell(f"{path}: reading it once, for its digest")
                self._known[place] = {**now, "sha256": sha256_of_files(file)}
                self._is_new = True
        except (OSError, UserError):  # whoever takes the weights says what is wrong with them
            return None
        return self._known[place].get("sha256")


def _parted(spec: str) -> tuple[str, str, str]:
    """Name, path and key, as `weights.place.locate` reads them, which needs JAX."""
    if os.path.exists(spec):
        return "", spec, ""
    name, colon, path = spec.partition(":")
    if not colon or "/" in name:
        name, path = "", spec
    before, mark, key = path.rpartition("#")
    if mark and before and not os.path.exists(path):
        return name, before, key
    return name, path, ""


def _file_of(path: Path) -> Path | None:
    """The file whose digest stands for weights; None where there is none."""
    if not path.is_dir():
        return path if path.is_file() else None
    for folder in _CHECKPOINTS:
        steps = [child for child in (path / folder).glob("*") if child.name.isdecimal()]
        newest = sorted(steps, key=lambda child: int(child.name))[-1:]
        for place in (*newest, path / folder):
            if (place / _DIGESTS).is_file():
                return place / _DIGESTS
    inside = file_within(path)
    return path / inside.file if inside else None
