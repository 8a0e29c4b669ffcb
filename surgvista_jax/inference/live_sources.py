"""Where live frames come from: a file in real time, a camera, standard input."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from surgvista_jax.data.conversion.frame_readers import FileReader
from surgvista_jax.data.storage.video_stream import UnreadableVideo, VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.inference.clip_batches import check_rate
from surgvista_jax.inference.live_address import Address
from surgvista_jax.inference.live_clock import Frame, breaks_off, in_real_time

import cv2  # isort: skip  # after `frame_readers`, which silences it


class Source(Protocol):
    """Frames as they come.

    Attributes:
        broke: why they ended too early, in words; "" where they came to their end.
    """

    broke: str

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the frames, as far as it is known before the first one."""

    def frames(self) -> Iterator[Frame]:
        """Yields them, each when it is there."""


class Raw(NamedTuple):
    """Frames without a header: RGB, a byte each, line after line.

    Attributes:
        width, height: of a frame, in pixels.
        fps: frames a second.
    """

    width: int
    height: int
    fps: float


class FileInRealTime:
    """The frames that `predict` sees of a file, each at its time."""

    broke = ""

    def __init__(
        self,
        path: Path,
        fps: float,
        options: VideoOptions,
        wait: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.perf_counter,
    ):
        """Goes through the packets of the file once.

        Args:
            path: the file.
            fps: frames a second.
            options: how it is read.
            wait: waits for so many seconds.
            now: tells the second that it is.

        Raises:
            UserError: it is no video, or a slower one.
        """
        try:
            self._reader = FileReader(path, options, threads=1)
        except UnreadableVideo as error:
            raise UserError(f"{path}: {error}") from None
        check_rate(str(path), self._reader.fps, fps)
        self._fps = fps
        self._wait, self._now = wait, now

    @property
    def size(self) -> tuple[int, int] | None:
        try:
            height, width = next(self._reader.samples(1)).shape[:2]
        except (StopIteration, UnreadableVideo, OSError):
            return None
        return width, height

    def frames(self) -> Iterator[Frame]:
        reader = self._reader
        images = enumerate(reader.frames(self._fps))
        decoded = ((k / self._fps, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)) for k, image in images)
        try:
            yield from in_real_time(decoded, self._wait, self._now)
        except (UnreadableVideo, OSError) as error:
            self.broke = str(error)
            return
        promised, missing = reader.frames_promised or 0, reader.frames_missing
        lacking = promised - reader.frames_read if missing is None else missing
        if promised and breaks_off(promised, lacking):
            self.broke = (
                f"breaks off: of the {promised} pictures of its header {lacking} are missing"
            )
        elif problems := reader.problems():
            self.broke = problems[0]


class Camera:
    """A camera by its number or device, through OpenCV; frames are at the second they come at."""

    broke = ""

    def __init__(self, where: str):
        """Opens it. Raises UserError where nothing is there, or it gives no picture."""
        number = where.removeprefix("/dev/video")
        self._capture = cv2.VideoCapture(int(number) if _is_number(number) else where)
        if not self._capture.isOpened():
            self._capture.release()
            raise UserError(
                f"--stream={where}: cannot be opened; is a camera there, may it be read, and does"
                " no other program have it?"
            )

    @property
    def size(self) -> tuple[int, int] | None:
        keys = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
        width, height = (int(self._capture.get(key)) for key in keys)
        return (width, height) if min(width, height) > 0 else None

    def frames(self) -> Iterator[Frame]:
        began = time.perf_counter()
        try:
            while (read := self._capture.read())[0]:
                second = time.perf_counter() - began
                yield second, cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
            self.broke = "gives no more pictures"
        except cv2.error as error:
            self.broke = f"OpenCV fails on it: {error.err}"
        finally:
            self._capture.release()


class RawFrames:
    """Frames without a header from a pipe or a file that is open."""

    broke = ""

    def __init__(self, descriptor: int, form: Raw):
        self._descriptor, self._form = descriptor, form

    @property
    def size(self) -> tuple[int, int]:
        return self._form.width, self._form.height

    def frames(self) -> Iterator[Frame]:
        form, count = self._form, 0
        while True:
            frame = np.empty((form.height, form.width, 3), np.uint8)
            try:
                there = self._fill(frame.data.cast("B"))
            except OSError as error:
                self.broke = f"cannot be read: {error.strerror}"
                return
            if there < frame.nbytes:
                if there:
                    self.broke = (
                        f"ends within frame {count}, at {there} of its {frame.nbytes} bytes"
                    )
                return
            yield count / form.fps, frame
            count += 1

    def _fill(self, room: memoryview) -> int:
        """Reads until the room is full or nothing more comes; how many bytes came."""
        there = 0
        # Not by a file object: a thread that is left reading would hold its lock at the end.
        while there < len(room) and (count := os.readv(self._descriptor, [room[there:]])):
            there += count
        return there


def open_source(where: str, fps: float, options: VideoOptions, raw: Raw | None) -> Source:
    """Opens what `--stream` names.

    Args:
        where: "-" for standard input; the number, device or address of a camera; else a file.
        fps: frames a second that the model sees.
        options: how a file is read.
        raw: what is said of frames on standard input.

    Raises:
        UserError: it cannot be opened, or is slower than the model's rate; frames on standard
            input are not described, or others are.
    """
    if (where == "-") != (raw is not None):
        raise UserError(
            "--frame-size=WxH and --frame-rate=R: are needed for --stream=-, and for nothing else"
        )
    if raw is not None:
        check_rate("--frame-rate", raw.fps, fps)
        return RawFrames(0, raw)
    if "://" in where:
        return Address(where)
    if is_camera(where):
        return Camera(where)
    path = Path(where)
    if not path.exists():
        raise UserError(f"--stream={where}: there is no such file; a camera is 0, 1, …")
    if not path.is_file():
        raise UserError(
            f"--stream={where}: is no file; a video is needed, or --stream=- for frames of a pipe"
        )
    return FileInRealTime(path, fps, options)


def is_camera(where: str) -> bool:
    """Whether `--stream` names a camera or an address, by its form."""
    return _is_number(where) or "://" in where or _is_device(where)


def _is_number(where: str) -> bool:
    return where.isascii() and where.isdecimal()  # "²" is a digit to Python, and no number


def _is_device(where: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(where).st_mode)
    except OSError:
        return False
