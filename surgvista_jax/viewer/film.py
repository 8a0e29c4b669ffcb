"""The film strip of a page: small frames at even distances, few enough to be carried along."""

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.frame import VideoFrame

from surgvista_jax.data.storage.decode import Frames
from surgvista_jax.data.storage.video_pictures import Picture, Pixels
from surgvista_jax.data.storage.video_stream import (
    OpenVideo,
    UnreadableVideo,
    VideoOptions,
    open_video,
)
from surgvista_jax.data.storage.video_times import beginning, first_told
from surgvista_jax.image_files import jpeg

import cv2  # isort: skip  # after `decode`, which silences it

MOST_FRAMES = 720
MOST_BYTES = 4_000_000  # of JPEG; a third more in the page
PIXELS = 288 * 162  # of a frame
MOST_SOUGHT = 360  # in a video file
QUALITY = 55  # of JPEG
_BEFORE = 5.0  # seconds; in MPEG streams FFmpeg finds the first key frame only from before it


@dataclass(frozen=True, eq=False)
class Film:
    """Frames of a video, each shown from its time until the next.

    Attributes:
        seconds: float [m], ascending.
        images: m JPEG files.
    """

    seconds: tuple[float, ...]
    images: tuple[bytes, ...]


@dataclass
class Reel:
    """Takes frames as they come, of a video of unknown length, and keeps some of them.

    When there are too many, every second one goes, and from then on half as many are taken.

    Attributes:
        every: seconds between frames.
        most_frames: how many are kept at most.
        most_bytes: how large they are together at most.
    """

    every: float = 1.0
    most_frames: int = MOST_FRAMES
    most_bytes: int = MOST_BYTES
    _kept: list[tuple[float, bytes]] = field(default_factory=list)
    _bytes: int = 0

    def wants(self, second: float) -> bool:
        """Whether a frame of that time would be kept; times must ascend."""
        return not self._kept or second >= self._kept[-1][0] + self.every - 1e-6

    def add(self, second: float, image: np.ndarray) -> None:
        """Takes a frame, [H, W, 3] uint8 RGB, if it is wanted."""
        if not self.wants(second):
            return
        encoded = _small(image)
        self._kept.append((second, encoded))
        self._bytes += len(encoded)
        while len(self._kept) > self.most_frames or self._bytes > self.most_bytes > 0:
            if len(self._kept) == 1:
                break
            self._kept = self._kept[::2]
            self._bytes = sum(len(data) for _, data in self._kept)
            self.every *= 2

    def film(self) -> Film | None:
        """What was kept; None where nothing came."""
        if not self._kept:
            return None
        seconds, images = zip(*self._kept, strict=True)
        return Film(seconds, images)


def film_of(frames: Frames, frame: Sequence[int] | np.ndarray, fps: float) -> Film | None:
    """The film of a video of which every frame can be asked for; None where none can be read.

    Args:
        frame: the frames that there is something said of, ascending.
        fps: their rate.
    """
    reel = Reel()
    chosen = np.asarray(frame)[np.asarray(frame) < frames.num_frames]
    if not len(chosen):
        return None
    lasts = (chosen[-1] - chosen[0] + 1) / fps
    while lasts / reel.every > reel.most_frames:
        reel.every *= 2
    due, wanted = -np.inf, []
    for number in chosen.tolist():
        if number / fps >= due - 1e-6:
            wanted.append(number)
            due = number / fps + reel.every
    for number, image in zip(wanted, frames.images(wanted), strict=True):
        if image is not None:
            reel.add(number / fps, image)
    return reel.film()


def film_of_file(path: Path, seconds: float, options: VideoOptions | None = None) -> Film | None:
    """The film of a video file: key frames, which can be had without decoding what is between.

    They are upright, deinterlaced and of square pixels, and their times are those of frames that
    are extracted from the file. None where none can be read, as in files that do not say when a
    picture is shown.

    Args:
        seconds: how long the video is looked at.
        options: how the file is read; None: in the usual way.
    """
    options, reel = options or VideoOptions(), Reel(every=max(seconds / MOST_SOUGHT, 0.5))
    with (
        contextlib.suppress(UnreadableVideo, av.FFmpegError, OSError),
        open_video(path, options.stream) as video,
    ):
        pixels = Pixels(video.stream, options.deinterlace)
        start = beginning(video) if options.clock == "container" else first_told(video)
        for number in range(MOST_SOUGHT):
            due = number * reel.every
            if due > seconds or not reel.wants(due):
                continue
            try:
                picture = _key_picture(video, pixels, start + due if number else start - _BEFORE)
            except av.FFmpegError:
                continue  # damaged there
            if picture is None or picture.frame.time is None:
                break
            if reel.wants(second := max(picture.frame.time - start, 0.0)):
                reel.add(second, cv2.cvtColor(pixels.array(picture), cv2.COLOR_BGR2RGB))
    return reel.film()


def _key_picture(video: OpenVideo, pixels: Pixels, second: float) -> Picture | None:
    """The last key frame at or before a time; an interlaced one has a neighbour."""
    frame, _ = _key_frame(video, second, "NONKEY")
    if frame is None:
        return None
    picture = Picture(frame, None, None)
    if not pixels.is_interlaced(picture):
        return picture
    frame, after = _key_frame(video, second, "DEFAULT")
    # What comes before it is not decoded; what comes after tells as well where something moves. The
    # last of a file stays combed, and is left out.
    return None if frame is None or after is None else Picture(frame, after, after)


def _key_frame(
    video: OpenVideo, second: float, skipped: Literal["NONKEY", "DEFAULT"]
) -> tuple[VideoFrame | None, VideoFrame | None]:
    """A key frame and the next that is decoded, where FFmpeg skips others or not."""
    video.stream.codec_context.skip_frame = skipped
    video.container.seek(int(second * av.time_base))
    # Where all are decoded, some that are shown before it lack what they are made from.
    frames = itertools.dropwhile(
        lambda frame: not frame.key_frame, video.container.decode(video.stream)
    )
    return next(frames, None), None if skipped == "NONKEY" else next(frames, None)


def _small(image: np.ndarray) -> bytes:
    """A frame as JPEG of at most `PIXELS` pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, (PIXELS / (height * width)) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != (width, height):
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return jpeg(image, QUALITY)
