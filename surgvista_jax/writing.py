"""Writing a file whole, or not at all.

A new file is written aside, in a folder of its own beside its place, forced to the disk, and then
renamed to its place. Whoever reads there, also after a crash or on a full disk, finds the old file
or the new one, and two who write the same file do not meet.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError

_ASIDE = ".partial-"


class CannotWrite(UserError):
    """A file or folder cannot be written: which, and why."""

    def __init__(self, path: str | os.PathLike, reason: object):
        super().__init__(f"{path}: cannot be written ({reason})")


@contextlib.contextmanager
def writing_to(path: str | os.PathLike) -> Iterator[None]:
    """Turns an OSError of what is done inside into the one line that `path` cannot be written."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(path, error.strerror or error) from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a path to write a new file to, which takes the place of `path` at the end.

    It has the same name, in another folder; after an error it is gone and `path` is as before.
    Folders that lead to `path` are made. A link stays, and what it points to is replaced. Anybody
    may read the file who may read the user's new files, however it is written.

    Raises:
        CannotWrite: the file cannot be written, or is a folder.
    """
    with replacing_all([path]) as (aside,):
        yield aside


@contextlib.contextmanager
def replacing_all(paths: Sequence[str | os.PathLike]) -> Iterator[list[Path]]:
    """As `replacing`, for several files: all take their places or, after an error, none does."""
    with contextlib.ExitStack() as asides, writing_to(paths[0]):
        pairs = [_aside(Path(path), asides) for path in paths]
        modes = [aside.stat().st_mode for aside, _ in pairs]
        yield [aside for aside, _ in pairs]
        for (aside, place), mode in zip(pairs, modes, strict=True):
            if aside != place:
                aside.chmod(mode)  # safetensors' files are their owner's alone
                with open(aside, "rb+") as file:
                    os.fsync(file.fileno())
        _rename({aside: place for aside, place in pairs if aside != place})


def _aside(path: Path, asides: contextlib.ExitStack) -> tuple[Path, Path]:
    """An empty file to write to instead of `path`, and the place that it is for."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        return path, path  # a device or a pipe, such as /dev/null, has no other place
    place = Path(os.path.realpath(path))
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.TemporaryDirectory(
        prefix=_ASIDE, dir=place.parent, ignore_cleanup_errors=True
    )
    aside = Path(asides.enter_context(folder), path.name)
    aside.touch()
    return aside, place


def _rename(places: Mapping[Path, Path]) -> None:
    """Renames files to their places; after an error, what stood there stands there again."""
    with contextlib.ExitStack() as undo:
        for number, (aside, place) in enumerate(places.items(), start=1):
            if number == len(places):
                pass  # nothing after it can fail: it need not be taken back
            elif place.exists():
                before = aside.with_name(f"{aside.name}.before")
                os.replace(place, before)
                undo.callback(os.replace, before, place)
            else:
                undo.callback(place.unlink, missing_ok=True)
            os.replace(aside, place)
        undo.pop_all()


def clear_asides(folder: Path) -> None:
    """Removes what killed writers left in a folder; nobody else may be writing there."""
    for left in folder.glob(f"{_ASIDE}*"):
        shutil.rmtree(left, ignore_errors=True)


def write_text(path: str | os.PathLike, text: str | Iterable[str]) -> None:
    """Writes a whole file in UTF-8, from one text or from parts that are taken one by one.

    Raises:
        CannotWrite: it cannot be written.
    """
    parts = [text] if isinstance(text, str) else text
    with replacing(path) as aside, open(aside, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(parts)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """As `write_text`, of bytes."""
    with replacing(path) as aside:
        aside.write_bytes(data)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """As `write_text`, of a value as JSON; a number that is not finite has none: ValueError."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: str | os.PathLike, value: Mapping) -> None:
    """Adds a line to a .jsonl file; it is not forced to the disk, and a kill may cut it off.

    Raises:
        CannotWrite: it cannot be written.
    """
    with writing_to(path), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")
