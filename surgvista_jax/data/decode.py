"""How do frame ids become pixels?  The one place that knows where a video's frames are stored."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgvista_jax.data.manifest import Video
from surgvista_jax.errors import UserError

# What a damaged file makes OpenCV and FFmpeg print is told by us, once, with the file's name.  They
# read these variables when they start.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2  # noqa: E402

FRAME_NAME = "{:06d}.jpg"
# Stands for a clip of which nothing can be read: its true size is unknown, and crops are resized.
BLACK_SHAPE = (256, 256, 3)
# A whole JPEG ends with this marker; some programs append bytes to it.
_JPEG_START, _JPEG_END, _JPEG_TRAILER = b"\xff\xd8", b"\xff\xd9", 4096


@dataclass(frozen=True)
class FrameFolder:
    """The frames of one video as images `000000.jpg`, `000001.jpg`, ... of one folder.

    Making one touches no file, and it pickles, so that it can be made anew for every clip.
    """

    folder: Path
    num_frames: int

    def read(self, frame_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decodes frames, each distinct id once.

        A frame that cannot be read, or whose size is not that of the first readable frame of the
        clip, is replaced by the nearest readable frame before it in the clip, else by the nearest
        after it, else by black: the same clip always comes out the same.

        Args:
          frame_ids: [T] integers from 0 to num_frames - 1.

        Returns:
          frames: [T, H, W, 3] uint8, RGB.
          unreadable: [T] bool, true where a frame was replaced.

        Raises:
          IndexError: an id is outside the video, which only a wrong caller can cause.
        """
        if len(frame_ids) and not 0 <= np.min(frame_ids) <= np.max(frame_ids) < self.num_frames:
            raise IndexError(f"{self.folder}: frame ids {frame_ids} outside 0..{self.num_frames}")
        frames = None
        readable = np.zeros(len(frame_ids), bool)
        seen: dict[int, int] = {}
        # Copying each image as soon as it is decoded, while the cache still holds it, is quicker
        # than stacking them in the end.
        for position, frame_id in enumerate(map(int, frame_ids)):
            before = seen.setdefault(frame_id, position)
            if before < position:
                image = frames[before] if readable[before] else None
            else:
                image = read_image(self.folder / FRAME_NAME.format(frame_id))
            if image is None:
                continue
            if frames is None:
                frames = np.empty((len(frame_ids), *image.shape), np.uint8)  # [T, H, W, 3]
            if image.shape == frames.shape[1:]:
                frames[position] = image
                readable[position] = True
        if frames is None:
            return np.zeros((len(frame_ids), *BLACK_SHAPE), np.uint8), ~readable
        positions = np.flatnonzero(readable)
        for position in np.flatnonzero(~readable):
            earlier = np.searchsorted(positions, position) - 1
            frames[position] = frames[positions[max(earlier, 0)]]
        return frames, ~readable


def open_frames(folder: Path, video: Video) -> FrameFolder:
    """The frames of one video of the dataset in `folder`, whatever they are stored as.

    Raises:
      UserError: the source is nothing that frames can be read from.
    """
    source = Path(folder) / video.source
    if source.is_file():
        raise UserError(
            f"{source}: frames are read from a folder of images; convert the video with "
            "`surgvista data convert videos`"
        )
    return FrameFolder(source, video.num_frames)


def read_image(path: str | os.PathLike, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray | None:
    """Decodes an image file to [H, W, 3] uint8; None where it is missing, cut short or no image.

    The file is read by NumPy because OpenCV opens no path with non-ASCII letters on some systems,
    and because OpenCV 4 fills a JPEG that is cut short with grey, as if it were whole.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    if data.size < 4:
        return None
    if data[:2].tobytes() == _JPEG_START and _JPEG_END not in data[-_JPEG_TRAILER:].tobytes():
        return None
    try:
        return cv2.imdecode(data, flags)
    except cv2.error:
        return None
