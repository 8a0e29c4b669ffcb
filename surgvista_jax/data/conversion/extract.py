"""From one video to its frames at the wanted rate, and to a folder of them as JPEGs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from surgvista_jax.data.conversion.frame_readers import FileReader, FolderReader, Reader
from surgvista_jax.data.conversion.margins import content_box
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.storage.open import FRAME_NAME
from surgvista_jax.data.storage.video_stream import UnreadableVideo, VideoOptions
from surgvista_jax.image_files import jpeg_of_bgr

import cv2  # isort: skip  # after `storage.decode`, which silences it

MARGIN_SAMPLES = 32  # frames of a video that decide where its margins are
READER = "av"  # what reads video files; earlier journals do not say it, and used OpenCV


@dataclass(frozen=True)
class ExtractConfig:
    """How frames are extracted.

    Attributes:
        fps: frames kept a second.
        short_side: pixels to which the shorter side is reduced; smaller frames stay as they are.
        source_fps: rate of frame folders, and of video files whose time stamps are missing or
            broken; None: frame folders are at the rate of their layout, else at `fps`, and such
            video files at their header's, if it has one.
        cut_margins: black margins are cut off, the same for all frames of a video.
        clock, stream, deinterlace: how video files are read, as in `VideoOptions`.
    """

    fps: float = 1.0
    short_side: int = 256
    source_fps: float | None = None
    cut_margins: bool = False
    clock: str = VideoOptions.clock
    stream: int | None = None
    deinterlace: str = VideoOptions.deinterlace

    @property
    def video(self) -> VideoOptions:
        return VideoOptions(self.clock, self.stream, self.deinterlace, self.source_fps)


@dataclass(frozen=True)
class Extracted:
    """What came of one video.

    Attributes:
        num_frames: frames kept.
        fps: rate of the kept frames: the wanted one, or the video's own where that is lower.
        native_fps: rate of the video.
        native_fps_told: true if the video told its rate, false if `ExtractConfig` did.
        frames_read: frames of the video that could be read.
        frames_promised: frames that its header promises; None where it promises nothing.
        content: top, bottom, left and right of what was kept of its pictures, in pixels; None where
            nothing was to be cut off.
        frames_missing: frames that are promised and not in the file; None: by what was read.
        notes, problems: what should be known of it, and what could not be read.
        reader: what read it.
    """

    num_frames: int
    fps: float
    native_fps: float
    native_fps_told: bool
    frames_read: int
    frames_promised: int | None
    content: list[int] | None = None
    frames_missing: int | None = None
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    reader: str = ""

    @property
    def tolerance(self) -> float:
        """Frames by which headers of whole videos are wrong: many formats only estimate."""
        return max(2.0, 0.005 * (self.frames_promised or 0))

    @property
    def is_short(self) -> bool:
        return self._missing > self.tolerance

    @property
    def is_long(self) -> bool:
        return -self._missing > self.tolerance

    @property
    def _missing(self) -> int:
        if self.frames_missing is not None:
            return self.frames_missing
        return 0 if self.frames_promised is None else self.frames_promised - self.frames_read


class KeptFrames:
    """The kept frames of one video in their order, and in the end what came of it.

    Frame k is the first picture whose own time is at or after k / fps, if it comes within half of
    1 / fps; else there is a hole, and the last picture before it is repeated. Before the first
    picture of a recording whose clock begins earlier, frames are black.

    Attributes:
        fps: their rate.

    Args:
        source: the video.
        config: rate and size of the kept frames.
        threads: threads that decode this video.
        slowest: a video of at least so many frames a second gives them at the wanted rate, though
            its own is lower: its pictures repeat here and there. None: then it gives them at its
            own, each once.

    Raises:
        UnreadableVideo: it cannot be opened, or nothing in it can be read.
    """

    def __init__(
        self,
        source: SourceVideo,
        config: ExtractConfig,
        threads: int = 1,
        slowest: float | None = None,
    ):
        self._reader: Reader
        if source.is_folder:
            self._reader = FolderReader(source, folder_fps(source, config))
        else:
            self._reader = FileReader(source.path, config.video, threads)
        self._source, self._config = source, config
        self.fps = min(config.fps, self._reader.fps)
        if slowest is not None and self._reader.fps >= slowest:
            self.fps = config.fps
        self._content: list[int] | None = None
        self._kept = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields [H, W, 3] uint8 BGR; a repeated one is the same object.

        Raises:
            UnreadableVideo: there are no frames, or they are not all of one size.
        """
        reader = self._reader
        if self._config.cut_margins:
            self._content = content_box(reader.samples(MARGIN_SAMPLES))
        self._kept, shape, last, small = 0, None, None, np.empty(0, np.uint8)
        for image in reader.frames(self.fps):
            if shape is None:
                shape = image.shape
            if image.shape != shape:
                first, other = (f"{width}x{height}" for height, width, _ in (shape, image.shape))
                raise UnreadableVideo(
                    f"frames of different sizes: {reader.current} is {other}, the first one "
                    f"{first}; all frames of a video must have one size"
                )
            if image is not last:  # else it is repeated
                last = image
                if self._content is not None:
                    top, bottom, left, right = self._content
                    image = image[top:bottom, left:right]
                small = reduced(image, self._config.short_side)
            self._kept += 1
            yield small
        if not self._kept:
            raise UnreadableVideo("no frame in it can be read; is the file whole?")

    def extracted(self) -> Extracted:
        """What came of the video, once all frames were taken."""
        reader = self._reader
        return Extracted(
            num_frames=self._kept,
            fps=self.fps,
            native_fps=reader.fps,
            native_fps_told=reader.fps_told,
            frames_read=reader.frames_read,
            frames_promised=reader.frames_promised,
            content=self._content,
            frames_missing=reader.frames_missing,
            notes=reader.notes(),
            problems=reader.problems(),
            reader="" if self._source.is_folder else READER,
        )


def extract(
    source: SourceVideo,
    folder: Path,
    config: ExtractConfig,
    *,
    threads: int = 1,
    report: Callable[[int], None] = lambda num_frames: None,
) -> Extracted:
    """Writes the kept frames of one video to `folder`, as `000000.jpg` and so on.

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
    frames, last, encoded = KeptFrames(source, config, threads), None, b""
    for number, image in enumerate(frames):
        if image is not last:
            last, encoded = image, _encode(image)
        # Python writes the file because OpenCV neither opens every path nor reports a full disk.
        (folder / FRAME_NAME.format(number)).write_bytes(encoded)
        report(number + 1)
    return frames.extracted()


def folder_fps(source: SourceVideo, config: ExtractConfig) -> float:
    """The assumed rate of a folder's images."""
    return config.source_fps or source.fps or config.fps


def reduced(image: np.ndarray, short_side: int) -> np.ndarray:
    """[H, W, 3] -> the same picture with a shorter side of at most `short_side` pixels."""
    height, width = image.shape[:2]
    size = reduced_size(width, height, short_side)
    if size == (width, height):
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def reduced_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Width and height of what `reduced` makes of a picture."""
    shorter = min(width, height)
    if shorter <= short_side:
        return width, height
    wide, high = (max(short_side, round(side * short_side / shorter)) for side in (width, height))
    return wide, high


def _encode(image: np.ndarray) -> bytes:
    try:
        return jpeg_of_bgr(image)
    except ValueError as error:
        raise UnreadableVideo(str(error)) from None
