"""Which files of an output may a command replace? Those that it wrote, and that nobody changed.

What a command wrote stands in a record beside it: name, size and SHA-256 of each file, noted before
the file takes its place, so that a kill leaves no file of ours that the record does not know. A
file that is not as the record says (another program's, or one of ours that was edited) is foreign:
the command refuses before it does any work, unless the user says `--overwrite`.
"""

import argparse
import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.record import Record
from surgvista_jax.writing import writing_to

RECORD = ".surgvista_written.jsonl"


class Foreign(UserError):
    """Something is in the way that this program has not written, or not as it is now."""

    def __init__(self, path: Path, advice: str = "--overwrite replaces it"):
        super().__init__(
            f"{path}: is there already and was not written by this command, or changed since;"
            f" {advice}"
        )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Adds the option by which files that this program has not written may be replaced."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files in the way that this command has not written, or that were edited"
        " since (else it refuses); other files stay",
    )


def never(path: Path) -> bool:
    """`Ownership.earlier` where nothing tells the files of earlier versions."""
    return False


@dataclass(frozen=True)
class Ownership:
    """The files that a command may replace, and the record of those that it writes.

    Attributes:
        record: names in it are relative to `folder`.
        folder: below which the files are.
        overwrite: whether foreign files may be replaced.
        earlier: whether a file that the record does not name was written by a version that kept
            no record.
        notes: whether this process adds to the record; of several, one does.
    """

    record: Record
    folder: Path
    overwrite: bool = False
    earlier: Callable[[Path], bool] = never
    notes: bool = True

    def check(self, paths: Iterable[Path]) -> None:
        """Refuses, before any work is done, what may not be replaced.

        Files of an earlier version are noted as they are now.

        Raises:
            Foreign: the first path with a file that may not be replaced.
            UserError: a path is a folder; the record is broken or not ours, or cannot be written.
        """
        self.record.check()
        paths, earlier = list(paths), []
        for path in paths:
            if path.is_dir():
                raise UserError(f"{path}: cannot be written (Is a directory)")
        for path in paths:
            if not os.path.lexists(path):
                continue
            # Devices and pipes are not replaced, and links that lead nowhere lose nothing.
            if self.overwrite or not path.is_file():
                continue
            if not self.wrote(path):
                raise Foreign(path)
            if not self.named(path):
                earlier.append(path)
        for path in earlier if self.notes else ():
            self._note(path, path)

    def wrote(self, path: Path) -> bool:
        """Whether a file is as this program wrote it."""
        lines = self._lines(path)
        try:
            if not lines:
                return self.earlier(path)
            size = path.stat().st_size
            digests = {line["sha256"] for line in lines if line["size"] == size}
            return bool(digests) and sha256_of(path) in digests
        except OSError:  # it cannot be read
            return False

    def named(self, path: Path) -> bool:
        """Whether the record names a file, however it is now."""
        return bool(self._lines(path))

    def __call__(self, path: Path, aside: Path) -> None:
        """Checks and notes, as a guard of `writing`, before `aside` takes the place of `path`."""
        self.check([path])
        self._note(path, aside)

    def _note(self, path: Path, content: Path) -> None:
        with writing_to(path):
            size, digest = content.stat().st_size, sha256_of(content)
        line = {"file": self._name(path), "size": size, "sha256": digest}
        if line not in self._lines(path):  # else a kill came between it and the file
            with writing_to(self.record.path):
                self.record.add(line)

    def _lines(self, path: Path) -> list[dict]:
        return self.record.lines("file", self._name(path))

    def _name(self, path: Path) -> str:
        return os.path.relpath(path, self.folder)


def in_folder(
    folder: Path,
    overwrite: bool = False,
    earlier: Callable[[Path], bool] = never,
    notes: bool = True,
) -> Ownership:
    """The ownership of files in a folder whose record lies among them."""
    return Ownership(Record(folder / RECORD), folder, overwrite, earlier, notes)


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
