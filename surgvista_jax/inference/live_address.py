"""Live frames from an address: a network camera, or a file that is stored elsewhere.

Through PyAV, as files are read: of interlaced streams the FFmpeg of OpenCV 5.0 gives blank
pictures, and says that all is well.
"""

import time
from collections.abc import Iterator

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from surgvista_jax.data.storage.video_pictures import Picture, Pixels, decode
from surgvista_jax.errors import UserError
from surgvista_jax.inference.live_clock import Frame, breaks_off, in_real_time

import cv2  # isort: skip  # after PyAV's FFmpeg

_SECONDS = 30.0  # after which an address that gives nothing has gone away
# Of RTSP: else packets that get lost tear pictures.
_OPTIONS = {"rtsp_transport": "tcp"}


class Address:
    """A stream by its address.

    Frames are at the second at which they come. What is stored has a length or a size, and would
    come as fast as it is read: its frames come in real time, at their own seconds. They are
    upright, with square pixels, and deinterlaced without waiting for the next one.

    Attributes:
        broke: as of `Source`.
        size: width and height of the frames, if none of them turns them.
    """

    broke = ""

    def __init__(self, where: str):
        """Opens it. Raises UserError where nothing is there, or no pictures."""
        try:
            self._container = av.open(where, options=_OPTIONS, timeout=(_SECONDS, _SECONDS))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise UserError(
                f"--stream={where}: cannot be opened ({getattr(error, 'strerror', error)}); is a"
                " stream there, and may it be read?"
            ) from None
        if not self._container.streams.video:
            self._container.close()
            raise UserError(f"--stream={where}: holds no video")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "SLICE"  # side by side, pictures would come some later
        self._pixels = Pixels(self._stream, "auto")
        self.size = round(self._stream.width * self._pixels.aspect), self._stream.height
        length = (self._container.duration or 0) / av.time_base
        self._promised = length * float(self._stream.average_rate or 0)
        # The size of a playlist says nothing of what it lists.
        listed = "hls" in self._container.format.name
        self._stored = length > 0 or (self._container.size > 0 and not listed)

    def frames(self) -> Iterator[Frame]:
        try:
            yield from in_real_time(self._read()) if self._stored else self._read()
        finally:
            self._container.close()

    def _read(self) -> Iterator[Frame]:
        began, first, second, count = time.perf_counter(), None, 0.0, 0
        tick, before = float(self._stream.time_base or 1), None
        for frame in decode(self._stream, self._packets()):
            if not self._stored:
                second = time.perf_counter() - began
            elif frame.pts is not None:
                moment = frame.pts * tick
                first = moment if first is None else first
                if moment - first < second:  # a clock that was set back goes on
                    first = moment - second
                second = moment - first
            yield second, self._array(frame, before)
            before, count = frame, count + 1
        if not self._stored or breaks_off(self._promised, self._promised - count):
            self.broke = self.broke or "gives no more pictures"

    def _packets(self) -> Iterator[Packet]:
        """As far as they come; at an end one that says so."""
        try:
            yield from self._container.demux(self._stream)
        except (av.FFmpegError, OSError) as error:
            silent = isinstance(error, av.error.ExitError)
            why = f"nothing came for {_SECONDS:g} s" if silent else error.strerror
            self.broke = f"gives no more pictures: {why}"
            if self._stored:  # what the decoder still holds of a live one is of long ago
                yield Packet()

    def _array(self, frame: VideoFrame, before: VideoFrame | None) -> np.ndarray:
        # To wait for the next one, of which lines could be taken too, would take as long.
        image = self._pixels.array(Picture(frame, before, None))
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
