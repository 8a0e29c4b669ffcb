"""The label files of a dataset, wherever they lie below its folder."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from surgvista_jax.errors import UserError


def find_files(folder: Path, pattern: str) -> list[Path]:
    """The files whose path below a folder, with `/`, ends as a pattern says, whatever the case.

    Hidden folders are passed over; links to folders are followed.
    """
    wanted = re.compile(rf"(?:.*/)?{pattern}", re.IGNORECASE)
    paths = sorted(_files(folder))
    return [path for path in paths if wanted.fullmatch(path.relative_to(folder).as_posix())]


def numbered_files(folder: Path, pattern: str) -> dict[int, Path]:
    """Number of a video -> its label file; the number is the one group of the pattern.

    Raises:
        UserError: two files are of one number.
    """
    found: dict[int, Path] = {}
    wanted = re.compile(pattern, re.IGNORECASE)
    for path in find_files(folder, pattern):
        match = wanted.fullmatch(path.name)
        assert match is not None
        number = int(match[1])
        if number in found:
            raise UserError(f"{path}: a second file of labels, beside {found[number]}; keep one")
        found[number] = path
    return found


def _files(folder: Path) -> Iterator[Path]:
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder above it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in files if not name.startswith("."))
