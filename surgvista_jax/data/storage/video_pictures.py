"""The decoded pictures of a video file, each with its time, and their pixels."""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from surgvista_jax.data.storage.video_times import Times

import cv2  # isort: skip  # after PyAV's FFmpeg

# Decoders that tell of each picture whether it is interlaced; of others the header counts.
_TELL_FIELDS = frozenset("h264 hevc mpeg1video mpeg2video vc1 dvvideo prores".split())
_FIRST_FIELD = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}  # by FFmpeg's order of fields
# Headers round the shape of pixels: from this on pictures are made wider.
_SQUARE = 0.01
_MOST_ASPECT = 4.0  # beyond it the header is wrong
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


@dataclass(frozen=True)
class Picture:
    """A decoded picture and its neighbours, of which deinterlacing takes lines."""

    frame: VideoFrame
    before: VideoFrame | None
    after: VideoFrame | None


@dataclass
class Decoding:
    """What happened while pictures were decoded.

    Attributes:
        num_decoded: pictures so far.
        damaged: seconds near which something could not be decoded, in their order.
    """

    num_decoded: int = 0
    damaged: list[float] = field(default_factory=list)


def decode(
    stream: VideoStream,
    packets: Iterable[Packet],
    decoding: Decoding | None = None,
    wanted: Set[int] | None = None,
) -> Iterator[VideoFrame]:
    """Decodes packets in their order; what cannot be decoded is left out and noted.

    Args:
        stream: the stream of the packets.
        packets: up to and with the one that says the end.
        decoding: where that is noted.
        wanted: time stamps of the pictures that are needed: others that no picture is predicted
            from are not decoded, which changes nothing in these; None: all.
    """
    decoding = decoding or Decoding()
    skips: Literal["DEFAULT", "NONREF"] = "DEFAULT"
    stream.codec_context.skip_frame = skips  # an earlier part may have left the other
    tick, last = float(stream.time_base or 1), 0.0
    for packet in packets:
        if not packet.size and not (packet.dts is None and packet.pts is None):
            continue  # a dropped picture, which the decoder would take for the end
        if packet.pts is not None:
            last = packet.pts * tick
        is_damaged = packet.is_corrupt
        if wanted is not None and packet.size:
            needed = packet.pts is None or packet.pts in wanted
            if needed != (skips == "DEFAULT"):
                skips = "DEFAULT" if needed else "NONREF"
                stream.codec_context.skip_frame = skips
        try:
            frames = stream.codec_context.decode(packet if packet.size else None)
        except av.FFmpegError:
            frames, is_damaged = [], True
        for frame in frames:
            decoding.num_decoded += 1
            is_damaged |= frame.is_corrupt
            yield frame
        if is_damaged:
            decoding.damaged.append(last)


def timed(
    frames: Iterable[VideoFrame], times: Times, tick: float
) -> Iterator[tuple[float, Picture]]:
    """Gives pictures their times, which ascend, and their neighbours.

    Args:
        frames: decoded pictures in their order, from the first one where they are counted.
        times: the clock of the video.
        tick: seconds of a frame's time stamp.
    """
    last = -np.inf
    earlier: VideoFrame | None = None
    waiting: tuple[float, VideoFrame] | None = None
    for number, frame in enumerate(frames):
        if times.counted:
            time = number / times.fps
        elif (listed := times.of_listed(number, frame.pts)) is not None:
            time = max(listed, last + tick / 2)
        elif frame.pts is None or times.by_number:
            time = last + 1 / times.fps if np.isfinite(last) else times.first
        else:
            time = max(frame.pts * tick, last + tick / 2)
        last = time
        if waiting is not None:
            yield waiting[0], Picture(waiting[1], earlier, frame)
            earlier = waiting[1]
        waiting = time, frame
    if waiting is not None:
        yield waiting[0], Picture(waiting[1], earlier, None)


class Pixels:
    """Makes pictures of one stream arrays: deinterlaced, with square pixels, upright.

    Attributes:
        aspect: width of a stored pixel over its height, 1 where it is square or nearly.
        deinterlaced: pictures so far that were deinterlaced.
    """

    def __init__(self, stream: VideoStream, deinterlace: str):
        aspect = float(stream.sample_aspect_ratio or 1)
        self.aspect = aspect if 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT else 1.0
        if abs(self.aspect - 1) < _SQUARE:
            self.aspect = 1.0
        self.deinterlaced = 0
        self._auto = deinterlace == "auto"
        order = int(stream.codec_context.field_order)
        self._order = "" if stream.codec_context.name in _TELL_FIELDS else _FIRST_FIELD.get(order)
        self._filter: _Deinterlacer | None = None
        self._reformatter = VideoReformatter()

    def is_interlaced(self, picture: Picture) -> bool:
        """Whether neighbours of a picture have a part in its pixels."""
        return self._auto and (picture.frame.interlaced_frame or bool(self._order))

    def array(self, picture: Picture) -> np.ndarray:
        """[H, W, 3] uint8 BGR, as OpenCV has it: scaling to RGB rounds in another way."""
        frame = picture.frame
        if self.is_interlaced(picture):
            if self._filter is None or not self._filter.fits(frame):
                self._filter = _Deinterlacer(frame, self._order or "auto")
            frame = self._filter.apply(picture)
            self.deinterlaced += 1
        image = self._reformatter.reformat(
            frame,
            width=max(1, round(frame.width * self.aspect)),
            format="bgr24",
            interpolation=Interpolation.BICUBIC,
            threads=1,
        ).to_ndarray()
        turn = _TURNS.get(-picture.frame.rotation % 360)
        return image if turn is None else cv2.rotate(image, turn)


class _Deinterlacer:
    """Makes one progressive picture of an interlaced one and its neighbours, by FFmpeg's bwdif."""

    def __init__(self, frame: VideoFrame, parity: str):
        self._form = frame.width, frame.height, frame.format.name
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 1000),
        )
        bwdif = self._graph.add("bwdif", f"mode=send_frame:parity={parity}:deint=all")
        self._graph.link_nodes(source, bwdif, self._graph.add("buffersink")).configure()
        self._pushed: list[VideoFrame] = []

    def fits(self, frame: VideoFrame) -> bool:
        return self._form == (frame.width, frame.height, frame.format.name)

    def apply(self, picture: Picture) -> VideoFrame:
        # The filter gives a picture when it has seen the next one; at an end it is its own.
        before, after = picture.before or picture.frame, picture.after or picture.frame
        wanted = [before, picture.frame, after]
        wanted = [f if self.fits(f) else picture.frame for f in wanted]
        known = next((n for n in (2, 1) if self._ends_with(wanted[:n])), 0)
        for frame in wanted[known:]:
            self._graph.push(frame)
        self._pushed = wanted
        result = None
        while True:
            try:
                result = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                break
        assert isinstance(result, VideoFrame)
        return result

    def _ends_with(self, frames: list[VideoFrame]) -> bool:
        last = self._pushed[-len(frames) :]
        return len(last) == len(frames) and all(a is b for a, b in zip(last, frames, strict=True))
