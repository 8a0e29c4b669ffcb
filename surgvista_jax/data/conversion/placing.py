"""A video's frames are moved to their place when all are written; what may they replace there?

Frames that this program wrote and nobody changed: the record of the output folder has a line for
each video, with a checksum for each of its frames, from before they are moved. Of videos that an
earlier version extracted the journal says their number alone.
"""

import os
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from surgvista_jax.data.conversion.journal import Finished
from surgvista_jax.data.storage.open import FRAME_NAME
from surgvista_jax.ownership import Foreign, Ownership

FRAMES = "frames"
_ASIDE = re.compile(r"\d+\.\d+")  # process and number: the folders of frames that are being written


class _Written(NamedTuple):
    """Frames that were written to a video's folder: their number, and 8 hex digits for each."""

    num_frames: int
    checksums: str

    def holds(self, path: Path, number: int) -> bool:
        if number >= self.num_frames:
            return False
        known = self.checksums[8 * number : 8 * number + 8]
        return not self.checksums or known == f"{zlib.crc32(path.read_bytes()):08x}"


@dataclass
class FrameFolders:
    """The folders of frames of one output folder.

    Attributes:
        owned: of the output folder.
        finished: the videos of its journal.
    """

    owned: Ownership
    finished: Mapping[str, Finished]

    def __post_init__(self) -> None:
        self.owned.record.check()

    def path(self, video: str) -> Path:
        """The folder of a video."""
        return self.owned.folder / FRAMES / video

    def check(self, video: str) -> None:
        """Refuses, before a video is extracted, a folder in which something else is.

        Raises:
            Foreign: the first file in it that may not be replaced, or a link on the way to it.
            OSError: a file cannot be read.
        """
        folder = self.path(video)
        steps = (*reversed(folder.relative_to(self.owned.folder).parents), Path(FRAMES, video))
        linked = None
        for step in steps[1:]:
            path = self.owned.folder / step
            if path.is_symlink():
                linked = path
            if os.path.lexists(path) and not path.is_dir():
                raise Foreign(path, "a folder is needed there: take another --out")
        if not os.path.lexists(folder):
            return
        if linked is not None:
            raise Foreign(linked, "it is a link, through which nothing is replaced")
        files = sorted(path for path in folder.iterdir() if path.is_symlink() or not path.is_dir())
        if self.owned.overwrite or not files:
            return
        written = self._of(video)
        for path in files:
            number = _number(path)
            # Files of other names are not in the way, in a folder that is ours.
            if not written or (number is not None and not _holds(written, path, number)):
                raise Foreign(path)

    def install(self, partial: Path, video: str, num_frames: int, checksums: str) -> None:
        """Moves a video's frames to its folder; what of ours is there goes.

        Frames that `partial` lacks were moved by an earlier call, which a kill cut short.

        Raises:
            Foreign: as `check`.
            OSError: they cannot be moved.
        """
        self.check(video)
        folder, before = self.path(video), self._of(video)
        self.note(video, num_frames, checksums)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            os.rename(partial, folder)
            return
        # Other files stay; and a video "a" may have the frames of a video "a/b" below its own.
        lying = set(os.listdir(partial))
        for name in map(FRAME_NAME.format, range(num_frames)):
            if name in lying or not (folder / name).exists():
                os.rename(partial / name, folder / name)
        for path in folder.iterdir():
            later = _number(path)
            if later is not None and later >= num_frames and _holds(before, path, later):
                path.unlink()

    def note(self, video: str, num_frames: int, checksums: str) -> None:
        """Notes what is about to be in a video's folder, or is there."""
        line = {"frames": video, "num_frames": num_frames, "checksums": checksums}
        if line not in self.owned.record.lines("frames", video):
            self.owned.record.add(line)

    def _of(self, video: str) -> list[_Written]:
        if lines := self.owned.record.lines("frames", video):
            return [_Written(line["num_frames"], line["checksums"]) for line in lines]
        finished = self.finished.get(video)
        return [] if finished is None else [_Written(finished.extracted.num_frames, "")]


def checksums(folder: Path, num_frames: int) -> str:
    """8 hex digits for each frame in a folder."""
    each = (folder / FRAME_NAME.format(number) for number in range(num_frames))
    return "".join(f"{zlib.crc32(path.read_bytes()):08x}" for path in each)


def clear_partial(partial: Path) -> None:
    """Removes the folders of frames that earlier conversions left unfinished, and no others."""
    if partial.is_symlink() or not partial.is_dir():
        return
    for left in partial.iterdir():
        if _ASIDE.fullmatch(left.name) and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
    if not any(partial.iterdir()):
        partial.rmdir()


def _number(path: Path) -> int | None:
    """The number of a frame, by its file's name; None for another file."""
    stem, _, suffix = path.name.partition(".")
    if suffix != "jpg" or not stem.isdecimal() or not stem.isascii() or len(stem) > 12:
        return None
    return int(stem) if FRAME_NAME.format(int(stem)) == path.name else None


def _holds(written: list[_Written], path: Path, number: int) -> bool:
    """Whether a file is a frame that was written; a link is none."""
    if path.is_symlink() or not path.is_file():
        return False
    return any(each.holds(path, number) for each in written)
