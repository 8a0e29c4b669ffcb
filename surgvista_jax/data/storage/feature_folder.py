"""Features folders: writes, checks and reads a backbone's features of every frame.

FOLDER/features.json says whose features they are; FOLDER/<video>.npy, float32 [num_frames, F], has
a row for each frame of the dataset's entry of that video, labelled or not, because a temporal model
sees the whole video. Behind them stands their CRC-32, which other readers of .npy pass over. A
video whose id has slashes lies in folders of that name.
"""

import contextlib
import os
import tokenize
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from surgvista_jax import locking
from surgvista_jax.counted import counted
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.features_header import (
    HEADER_FILE,
    FeaturesHeader,
    read_header,
    write_header,
)
from surgvista_jax.data.video_files import file_of, files_of
from surgvista_jax.errors import UserError
from surgvista_jax.ownership import Foreign
from surgvista_jax.writing import clear_asides, replacing, writing_to

# What NumPy raises of files that hold no array.
_BROKEN = OSError, ValueError, EOFError, OverflowError, MemoryError, TypeError, SyntaxError
_NO_ARRAY = (*_BROKEN, tokenize.TokenError)


class FeatureFolder:
    """A features folder that exists; made by `create_features` or `open_features`."""

    def __init__(self, folder: Path, header: FeaturesHeader):
        self.folder = folder
        self.header = header

    def path(self, video: Video) -> Path:
        """Where the rows of a video are. Raises UserError for an id that cannot be a file name."""
        return file_of(self.folder, video.video, ".npy")

    def withdraw(self) -> None:
        """Removes the header, and the folder with it, while no rows are in it: nothing came of it.

        A folder that holds anything else stays as it is, but for the lock of whoever writes.
        """
        if self.folder.is_dir() and {*os.listdir(self.folder)} - {locking.NAME} == {HEADER_FILE}:
            (self.folder / HEADER_FILE).unlink()
            with contextlib.suppress(OSError):  # who has it locked removes it
                self.folder.rmdir()

    def holds(self, video: Video) -> bool:
        """Whether a video's rows are there and whole, so that they need not be computed again."""
        try:
            features = self._open(video)
        except UserError:
            return False
        return self._as_written(video, features)

    def num_rows(self, video: str) -> int | None:
        """How many rows of a video are there, by its id; None where none or not all are whole.

        Raises:
            UserError: an id that cannot be a file name.
        """
        path = file_of(self.folder, video, ".npy")
        try:
            rows = len(np.load(path, mmap_mode="r", allow_pickle=False))
        except _NO_ARRAY:
            return None
        return rows if self.holds(Video(video, "", self.header.fps, rows)) else None

    def write(self, video: Video, features: np.ndarray) -> None:
        """Writes the rows of one video, float [num_frames, F]; all at once or not at all.

        Raises:
            ValueError: another shape.
            UserError: values that are not finite; the file cannot be written.
        """
        if features.shape != (video.num_frames, self.header.width):
            raise ValueError(
                f"{video.video}: features {features.shape} for"
                f" {counted(video.num_frames, 'frame')} of width "
                f"{self.header.width}"
            )
        if not np.isfinite(features).all():
            raise UserError(
                f"{video.video}: its features are not finite; does --dtype=float32 help, or are"
                " the weights broken?"
            )
        with replacing(self.path(video)) as aside:
            rows = np.ascontiguousarray(features, np.float32)
            np.save(aside, rows, allow_pickle=False)
            with open(aside, "ab") as file:
                file.write(_checksum(rows))

    def read(self, video: Video) -> np.ndarray:
        """The rows of one video, float32 [num_frames, F], read from disk as they are used.

        Raises:
            UserError: there are none, they cannot be read, they are of another length or width, or
                not finite, or not what was written.
        """
        features = self._open(video)
        if not self._as_written(video, features):
            raise UserError(
                f"{self.path(video)}: damaged, holds other numbers than were written; delete the"
                " file and run `surgvista features` again"
            )
        finite = np.isfinite(features).all(1)
        if not finite.all():
            raise UserError(
                f"{self.path(video)}: row {np.argmin(finite)} is not finite; delete the file and "
                "run `surgvista features` again"
            )
        return features

    def check(self, dataset: Dataset) -> None:
        """Raises UserError unless the folder has rows for every frame of the dataset's videos."""
        header, where = self.header, self.folder / HEADER_FILE
        if header.dataset != dataset.name or header.fps != dataset.fps:
            raise UserError(
                f"{where}: features of {header.dataset!r} at {header.fps:g} frames a second, but "
                f"{dataset.folder} is {dataset.name!r} at {dataset.fps:g}; run `surgvista features`"
                " on this dataset"
            )
        missing = [video.video for video in dataset.videos if not self.path(video).exists()]
        if missing:
            more = " …" if len(missing) > 5 else ""
            raise UserError(
                f"{self.folder}: no features of {len(missing)} of {len(dataset.videos)} videos: "
                f"{', '.join(missing[:5])}{more}; run `surgvista features` again, it adds them"
            )
        for video in dataset.videos:
            self._open(video)

    def _as_written(self, video: Video, features: np.memmap) -> bool:
        """Whether the checksum behind the rows is theirs; earlier versions wrote none."""
        with open(self.path(video), "rb") as file:
            file.seek(features.offset + features.nbytes)
            noted = file.read()
        return not noted or noted == _checksum(features)

    def _open(self, video: Video) -> np.memmap:
        path = self.path(video)
        try:
            features = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise UserError(
                f"{path}: missing; run `surgvista features` again, it adds it"
            ) from None
        except _NO_ARRAY as error:
            raise UserError(
                f"{path}: not a readable .npy file ({error}); delete it and run "
                "`surgvista features` again"
            ) from None
        wanted = (video.num_frames, self.header.width)
        if features.shape != wanted or features.dtype != np.float32:
            raise UserError(
                f"{path}: {features.dtype}{list(features.shape)}, but the video's {wanted[0]} "
                f"frames and width {wanted[1]} ask for float32{list(wanted)}; were the features "
                "computed from another version of the dataset?"
            )
        return features


def _checksum(rows: np.ndarray) -> bytes:
    return f"crc32 {zlib.crc32(rows.reshape(-1).view(np.uint8).data):08x}".encode()


def create_features(
    folder: str | os.PathLike,
    header: FeaturesHeader,
    videos: Sequence[Video] = (),
    overwrite: bool = False,
) -> FeatureFolder:
    """Makes a features folder, or continues one that has the same header.

    What killed writers left in it is removed: nobody else may be writing there.

    Args:
        folder: the folder.
        header: what it says of its features.
        videos: those whose rows are to be written.
        overwrite: whether files in their places that hold no such rows may be replaced; in a folder
            without a header they go at once, since they may look as ours would.

    Raises:
        UserError: the folder holds other features, or cannot be written; an id is no name of a
            file; a file in the way may not be replaced.
    """
    folder = Path(folder)
    path = folder / HEADER_FILE
    if path.exists():
        if differing := open_features(folder).header.differences(header):
            raise UserError(
                f"{path}: other features are here: {'; '.join(differing)}; take another folder"
            )
    made = FeatureFolder(folder, header)
    paths = files_of(folder, [video.video for video in videos], ".npy")
    begun = path.exists()
    in_the_way = [
        path
        for path, video in zip(paths, videos, strict=True)
        if os.path.lexists(path) and not (begun and made.holds(video))
    ]
    for path in in_the_way:
        if not overwrite or path.is_dir():
            raise Foreign(path)
    for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        clear_asides(place)
    if not begun:
        with writing_to(folder):
            for path in in_the_way:
                path.unlink()
        write_header(folder, header)
    return made


def open_features(folder: str | os.PathLike) -> FeatureFolder:
    """Opens a features folder; its arrays are checked by `check` and `read`.

    Raises:
        UserError: there is none, or its header is invalid.
    """
    folder = Path(folder)
    return FeatureFolder(folder, read_header(folder))
