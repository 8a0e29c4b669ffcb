"""Where weights lie: `[NAME:]PATH[#KEY]`, PATH being a file, a folder or an address of the Hub."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from surgvista_jax.addresses import is_address, not_here
from surgvista_jax.errors import UserError
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.folders import (
    file_within,
    heads_beside,
    models_below,
    weight_files,
)
from surgvista_jax.weights.files.read import SourceFile, open_file
from surgvista_jax.weights.folder import DESCRIPTION
from surgvista_jax.weights.hub import SCHEME, fetch

# How it is written, for `--help`.
SPEC = "[NAME:]FILE[#KEY]"
_OF_A_RUN = ("checkpoints", "best", "params")  # folders beside `config.json`, or of arrays


class Place(NamedTuple):
    """Where weights lie.

    Attributes:
        name: of the table whose names they have; None where it is not said.
        path: a file, the index of shards, or a folder of ours: a run or an imported one.
        key: where in the file, keys separated by "/"; "" where it is to be found.
        address: of what was fetched: "hf://OWNER/NAME@COMMIT:FILE"; else "".
        passed: names of files that hold the same model and were not taken.
    """

    name: str | None
    path: Path
    key: str = ""
    address: str = ""
    passed: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What people call it."""
        return (self.address or self.path.name) + (f"#{self.key}" if self.key else "")

    @property
    def lasting(self) -> str:
        """`[NAME:]PATH[#KEY]` that means the same from any folder."""
        named = f"{self.name}:" if self.name else ""
        key = f"#{self.key}" if self.key else ""
        return f"{named}{self.address or self.path.absolute()}{key}"


def locate(spec: str | Path) -> Place:
    """Finds what a user named; a path that exists is taken whole.

    Raises:
        UserError: what stands before the colon is not a table; it cannot be fetched; a folder of
            another program's holds no file that could be taken, or several.
    """
    text = str(spec)
    if is_address(text):
        raise not_here(text)
    if _exists(Path(text)):
        return _entered(Place(None, Path(text)))
    name, colon, rest = text.partition(":")
    table = None
    if colon and "/" not in name and not text.startswith(SCHEME):
        table, text = tables.find(name).name, rest
    if text.startswith(SCHEME):
        address, _, key = text.partition("#")
        fetched = fetch(address)
        return Place(table, fetched.path, key, fetched.address, fetched.passed)
    path, mark, key = text.rpartition("#")
    if not mark or not path or _exists(Path(text)):
        path, key = text, ""
    return _entered(Place(table, Path(path), key))


@contextlib.contextmanager
def open_place(place: Place) -> Iterator[SourceFile]:
    """Opens the file of a place, as `open_file`; what lies beside it is told with it."""
    with open_file(place.path, place.key) as source:
        metadata = heads_beside(place.path) | dict(source.metadata)
        yield dataclasses.replace(source, metadata=metadata, passed=source.passed + place.passed)


def _entered(place: Place) -> Place:
    """The same place, or in the folder of another program the file that it means."""
    folder = place.path
    if not folder.is_dir():
        return place
    try:
        ours = is_ours(folder)
        if not ours and (inside := file_within(folder)):
            return place._replace(path=folder / inside.file, passed=inside.passed)
        named = [] if ours else weight_files(folder)
        below = [] if ours or named else models_below(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror or error})") from error
    if place.key:
        raise UserError(f"{folder}#{place.key}: is a folder, in which no key can be named")
    if named or below:
        shown = ", ".join(str(folder / name) for name in (named or below)[:8])
        what = "a file" if named else "one"
        raise UserError(f"{folder}: is a folder; name {what} in it: {shown}")
    return place


def is_ours(folder: Path) -> bool:
    """Whether a folder is an imported one or of a run."""
    return (folder / DESCRIPTION).is_file() or any((folder / name).is_dir() for name in _OF_A_RUN)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError) as error:  # no permission, a name that is too long
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason})") from None
