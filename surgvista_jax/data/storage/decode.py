"""From encoded frames to the pixels of a clip, also where some of them cannot be read."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from surgvista_jax.data.storage.jpeg import MOST_PIXELS

# We report a damaged file once and by name: OpenCV and FFmpeg are kept from printing about it. They
# read these variables when they start.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# It refuses a picture of more by its header: a few KiB cannot ask for GiBs (8K has 33 million).
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))

import cv2  # noqa: E402

from surgvista_jax.data.open_files import check_room  # noqa: E402

# Stands for a clip of which nothing can be read: its true size is unknown, and crops are resized.
BLACK_SHAPE = (256, 256, 3)
# A whole JPEG ends with this marker; some programs append bytes to it.
_JPEG_START, _JPEG_END, _JPEG_TRAILER = b"\xff\xd8", b"\xff\xd9", 4096


class Frames(ABC):
    """The frames of one video, numbered from 0, whatever they are stored as.

    Making one touches no file, and it pickles: it is made once and sent to every worker.

    Attributes:
        num_frames: how many frames the video has by its manifest.
    """

    num_frames: int

    @abstractmethod
    def images(self, frame_ids: list[int]) -> Iterator[np.ndarray | None]:
        """Decodes frames to [H, W, 3] uint8 RGB, in the asked order; None where one is unreadable.

        Args:
            frame_ids: distinct, from 0 to num_frames - 1.
        """

    def read(
        self,
        frame_ids: np.ndarray,
        fit: Callable[[np.ndarray, np.ndarray], Any] = np.copyto,
        out: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decodes the frames of a clip, each distinct id once.

        A frame that cannot be read, or whose size is not that of the first readable frame of the
        clip, is replaced by the nearest readable frame before it in the clip, else by the nearest
        after it, else by black: the same clip always comes out the same.

        Args:
            frame_ids: [T] integers from 0 to num_frames - 1.
            fit: `fit(target, image)` writes an image [H, W, 3] into a frame of `out` while the
                cache still holds it; what it crops away is never stored.
            out: [T, h, w, 3] uint8, where the frames go; needed with `fit`.

        Returns:
            frames: [T, H, W, 3] uint8, RGB; `out` where that was given.
            unreadable: [T] bool, true where a frame was replaced.

        Raises:
            UserError: files are there, but this process may open no more.
            IndexError: an id is outside the video, which is a bug of the caller.
        """
        if len(frame_ids) and not 0 <= np.min(frame_ids) <= np.max(frame_ids) < self.num_frames:
            raise IndexError(f"{self}: frame ids {frame_ids} outside 0..{self.num_frames}")
        places: dict[int, list[int]] = {}
        for position, frame_id in enumerate(map(int, frame_ids)):
            places.setdefault(frame_id, []).append(position)
        shape = None
        readable = np.zeros(len(frame_ids), bool)
        for positions, image in zip(places.values(), self.images(list(places)), strict=True):
            if image is None or image.shape != (shape or image.shape):
                continue
            shape = image.shape
            if out is None:
                out = np.empty((len(frame_ids), *shape), np.uint8)  # [T, H, W, 3]
            fit(out[positions[0]], image)
            for repeat in positions[1:]:
                out[repeat] = out[positions[0]]
            readable[positions] = True
        if not readable.all():
            check_room()
        if shape is None or out is None:
            out = np.empty((len(frame_ids), *BLACK_SHAPE), np.uint8) if out is None else out
            out[:] = 0
            return out, ~readable
        known = np.flatnonzero(readable)
        for position in np.flatnonzero(~readable).tolist():
            earlier = int(np.searchsorted(known, position)) - 1
            out[position] = out[known[max(earlier, 0)]]
        return out, ~readable


class EncodedFrames(Frames):
    """The frames of one video, each of which is an image file of its own."""

    @abstractmethod
    def encoded(self, frame_ids: list[int]) -> Iterator[bytes | None]:
        """Reads the images as they are stored, in the asked order; None where one is missing."""

    def images(self, frame_ids: list[int]) -> Iterator[np.ndarray | None]:
        return map(decode_image, self.encoded(frame_ids))


def read_bytes(path: str | os.PathLike) -> bytes | None:
    """Reads a file; None where that fails."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return None


def is_whole(data: bytes | None) -> bool:
    """Whether bytes can be an image: there are some, and a JPEG is complete."""
    if data is None or len(data) < 4:
        return False
    return not data.startswith(_JPEG_START) or _JPEG_END in data[-_JPEG_TRAILER:]


def decode_image(data: bytes | None, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray | None:
    """Decodes an image to [H, W, 3] uint8; None where it is missing, truncated or not an image.

    OpenCV 4 fills a truncated JPEG with grey, as if it were whole.
    """
    if data is None or not is_whole(data):
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def read_image(path: str | os.PathLike, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray | None:
    """Decodes an image file as `decode_image` does.

    We read the file because OpenCV opens no path with non-ASCII letters on some systems.
    """
    return decode_image(read_bytes(path), flags)
