"""From one video to a folder of JPEG frames at the wanted rate."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgvista_jax.data.conversion.margins import content_box
from surgvista_jax.data.conversion.sources import SourceVideo, frame_files
from surgvista_jax.data.rates import is_rate, kept_index
from surgvista_jax.data.storage.open import FRAME_NAME, read_image

import cv2  # isort: skip  # after `storage.decode`, which silences it

JPEG_QUALITY = 95
MARGIN_SAMPLES = 32  # frames of a video that decide where its margins are


class UnreadableVideo(Exception):
    """No frames can be read from a video; the text says why and what would help."""


@dataclass(frozen=True)
class ExtractConfig:
    """How frames are extracted.

    Attributes:
        fps: frames kept a second.
        short_side: pixels to which the shorter side is reduced; smaller frames stay as they are.
        source_fps: rate of frame folders and of video files whose header has none; None: frame
            folders are at the rate of their layout, else at `fps`, and such video files are
            refused.
        cut_margins: black margins are cut off, the same for all frames of a video.
    """

    fps: float = 1.0
    short_side: int = 256
    source_fps: float | None = None
    cut_margins: bool = False


@dataclass(frozen=True)
class Extracted:
    """What came of one video.

    Attributes:
        num_frames: frames kept.
        fps: rate of the kept frames: the wanted one, or the video's own where that is lower.
        native_fps: rate of the video.
        native_fps_told: true if its header told the rate, false if `ExtractConfig` did.
        frames_read: frames of the video that could be read.
        frames_promised: frames that its header promises; None where it promises nothing.
        content: top, bottom, left and right of what was kept of its pictures, in pixels; None where
            nothing was to be cut off.
    """

    num_frames: int
    fps: float
    native_fps: float
    native_fps_told: bool
    frames_read: int
    frames_promised: int | None
    content: list[int] | None = None

    @property
    def tolerance(self) -> float:
        """Frames by which headers of whole videos are wrong: many formats only estimate."""
        return max(2.0, 0.005 * (self.frames_promised or 0))

    @property
    def is_short(self) -> bool:
        promised = self.frames_promised
        return promised is not None and self.frames_read < promised - self.tolerance

    @property
    def is_long(self) -> bool:
        promised = self.frames_promised
        return promised is not None and self.frames_read > promised + self.tolerance


def extract(
    source: SourceVideo,
    folder: Path,
    config: ExtractConfig,
    *,
    threads: int = 1,
    report: Callable[[int], None] = lambda num_frames: None,
) -> Extracted:
    """Writes the kept frames of one video to `folder`, as `000000.jpg` and so on.

    Frame k is the first frame of the video at or after the time k / fps.

    Args:
        source: the video.
        folder: an empty folder.
        config: rate and size of the kept frames.
        threads: threads that decode this video.
        report: called with the number of frames kept so far, after each.

    Raises:
        UnreadableVideo: there are no frames, or they are not all of one size.
        OSError: a frame cannot be written.
    """
    reader: _FolderReader | _FileReader
    if source.is_folder:
        reader = _FolderReader(source, folder_fps(source, config))
    else:
        reader = _FileReader(source.path, config.source_fps, threads)
    native_fps = reader.fps
    content = None
    if config.cut_margins:
        content = content_box(reader.samples(MARGIN_SAMPLES))
        if not source.is_folder:
            reader = _FileReader(source.path, config.source_fps, threads)
    kept, shape = 0, None
    for image in reader.frames(keep_every=native_fps / min(config.fps, native_fps)):
        if shape is None:
            shape = image.shape
        if image.shape != shape:
            first, other = (f"{width}x{height}" for height, width, _ in (shape, image.shape))
            raise UnreadableVideo(
                f"frames of different sizes: {reader.current} is {other}, the first one {first}; "
                "all frames of a video must have one size"
            )
        if content is not None:
            top, bottom, left, right = content
            image = image[top:bottom, left:right]
        encoded = _encode(_reduce(image, config.short_side))
        # Python writes the file because OpenCV neither opens every path nor reports a full disk.
        (folder / FRAME_NAME.format(kept)).write_bytes(encoded)
        kept += 1
        report(kept)
    if not kept:
        raise UnreadableVideo("no frame in it can be read; is the file whole?")
    return Extracted(
        num_frames=kept,
        fps=min(config.fps, native_fps),
        native_fps=native_fps,
        native_fps_told=reader.fps_told,
        frames_read=reader.frames_read,
        frames_promised=reader.frames_promised,
        content=content,
    )


def folder_fps(source: SourceVideo, config: ExtractConfig) -> float:
    """The assumed rate of a folder's images."""
    return config.source_fps or source.fps or config.fps


class _FileReader:
    """Reads a video file from its start; only the kept frames are converted to pixels."""

    def __init__(self, path: Path, source_fps: float | None, threads: int):
        if not os.access(path, os.R_OK):
            raise UnreadableVideo("the file is missing or may not be read")
        # Without naming FFmpeg, OpenCV would try one reader after the other on a broken file.
        self._capture = cv2.VideoCapture(
            str(path.resolve()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads]
        )
        if not self._capture.isOpened():
            raise UnreadableVideo("not a video that can be opened; is it a video, and whole?")
        header_fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps_told = is_rate(header_fps)
        fps = header_fps if self.fps_told else source_fps
        if fps is None:
            raise UnreadableVideo(
                f"its header says a frame rate of {header_fps:g}; give the true one by --source-fps"
            )
        self.fps = fps
        promised = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames_promised = int(promised) if 0 < promised < 1e12 else None
        self.frames_read = 0

    @property
    def current(self) -> str:
        return f"frame {self.frames_read - 1}"

    def samples(self, count: int) -> Iterator[np.ndarray]:
        """Yields about `count` frames from all over the video; the reader is used up."""
        for position in np.linspace(0, (self.frames_promised or 1) - 1, count).astype(int):
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, int(position))
            readable, image = self._capture.read()
            if readable:
                yield image
        self._capture.release()

    def frames(self, keep_every: float) -> Iterator[np.ndarray]:
        """Yields the kept frames, [H, W, 3] uint8 BGR."""
        kept = 0
        while self._capture.grab():
            if self.frames_read == kept_index(kept, keep_every):
                readable, image = self._capture.retrieve()
                if not readable:
                    break
                kept += 1
                self.frames_read += 1
                yield image
            else:
                self.frames_read += 1
        self._capture.release()


class _FolderReader:
    """Reads the images of a folder in the order of their names."""

    def __init__(self, source: SourceVideo, fps: float):
        try:
            self._files = frame_files(source.path, source.prefix)
        except OSError as error:
            raise UnreadableVideo(f"the folder cannot be read: {error.strerror}") from None
        self.fps = fps
        self.fps_told = False
        self.frames_promised = None
        self.frames_read = 0
        self.current = ""

    def samples(self, count: int) -> Iterator[np.ndarray]:
        """Yields about `count` frames from all over the video."""
        for index in sorted(set(np.linspace(0, len(self._files) - 1, count).astype(int))):
            image = read_image(self._files[index], cv2.IMREAD_COLOR)
            if image is not None:
                yield image

    def frames(self, keep_every: float) -> Iterator[np.ndarray]:
        """Yields the kept frames, [H, W, 3] uint8 BGR."""
        kept = 0
        while (index := kept_index(kept, keep_every)) < len(self._files):
            path = self._files[index]
            self.current = path.name
            image = read_image(path, cv2.IMREAD_COLOR)
            if image is None:
                raise UnreadableVideo(
                    f"{path.name} in it cannot be read; replace it or take it out"
                )
            kept += 1
            self.frames_read = index + 1
            yield image


def _reduce(image: np.ndarray, short_side: int) -> np.ndarray:
    """[H, W, 3] -> the same picture with a shorter side of at most `short_side` pixels."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    if shorter <= short_side:
        return image
    size = tuple(max(short_side, round(side * short_side / shorter)) for side in (width, height))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _encode(image: np.ndarray) -> bytes:
    written, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not written:
        raise UnreadableVideo(f"frames of {image.shape[1]}x{image.shape[0]} do not fit a JPEG")
    return encoded.tobytes()
