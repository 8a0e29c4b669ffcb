"""Pictures of a video file at any place: the very ones that reading from its start gives."""

import itertools
from collections import deque
from collections.abc import Iterator, Set
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame

from surgvista_jax.data.rates import Grid, Pick, picked
from surgvista_jax.data.storage.video_index import Index
from surgvista_jax.data.storage.video_pictures import (
    Decoding,
    Picture,
    Pixels,
    decode,
    timed,
)
from surgvista_jax.data.storage.video_stream import OpenVideo, VideoOptions, demux, open_video

_KEYS_TRIED = 4  # key frames before a picture, before the file is read from its start
# FFmpeg's jumps land behind the key frame that is asked for in some containers: seconds by which a
# jump is repeated earlier.
_EARLIER = (0.0, 1.0, 10.0)
_ALIKE = 1e-6  # seconds
# After a jump FFmpeg's decoders of these may leave pictures out without a word.
_LEAVES_OUT = frozenset({"mpeg4"})


class Damaged(Exception):
    """Something cannot be decoded on the way through a part."""


class Seeker:
    """An open video file whose pictures can be had at any place.

    Decoding begins at the last key frame before the wanted picture, goes on where it stands if
    there is no key frame in between, and begins earlier where a picture needs that.

    Raises:
        UnreadableVideo: the file cannot be opened.
    """

    def __init__(self, path: Path, options: VideoOptions, index: Index):
        self._path, self._options, self._index = path, options, index
        self._stack = ExitStack()
        self._video = self._stack.enter_context(open_video(path, options.stream))
        self.pixels = Pixels(self._video.stream, options.deinterlace)
        self._pictures: Iterator[tuple[float, Picture]] = iter(())
        self._first: float | None = None
        self._is_refreshed = True
        self._passed: deque[tuple[float, Picture]] = deque(maxlen=2)

    def __enter__(self) -> "Seeker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pictures = iter(())
        self._stack.close()

    def pick(self, grid: Grid, k: int) -> Pick[Picture] | None:
        """What frame k shows; None where the video does not reach that far."""
        second = grid.instant(k) + grid.tolerance
        if self._stands_before(second):
            pick = self._next(grid, k)
            if self._is_whole(grid, pick):
                return pick
        for key in self._keys_before(second):
            self._begin(key)
            pick = self._next(grid, k)
            first = self._first
            if key is None:
                return pick
            if first is None or first > second or not self._is_refreshed:
                continue  # not all could be decoded from there
            if pick is None:
                return None
            assert pick.picture is not None
            if self.pixels.is_interlaced(pick.picture) and pick.picture.before is None:
                continue
            if self._is_whole(grid, pick):
                return pick
        raise AssertionError("the start of the file is always tried")

    def part(
        self, key: int | None, until: float, wanted: Set[int]
    ) -> list[tuple[float, Picture]] | None:
        """Pictures from a key frame on, without their neighbours.

        Args:
            key: number of the key frame; None: the start of the file.
            until: the second at which the part ends.
            wanted: time stamps of the pictures of the part that are needed.

        Returns:
            The wanted pictures with their times; None if one is not found or could be another than
            reading from the start gives.

        Raises:
            Damaged: something on the way is.
        """
        decoding, tick = Decoding(), self._index.tick
        self._begin(key, decoding, wanted)
        found: dict[int, tuple[float, Picture]] = {}
        for time, picture in self._remembered():
            if time > until - _ALIKE:
                break
            stamp = picture.frame.pts
            if stamp is not None and stamp in wanted:
                if stamp in found or abs(time - stamp * tick) > _ALIKE:
                    return None
                found[stamp] = time, Picture(picture.frame, None, None)
        late = key is not None and (self._first is None or self._first > self._index.keys[key])
        if decoding.damaged:
            raise Damaged
        if late or not self._is_refreshed or found.keys() != wanted:
            return None
        return list(found.values())

    def damaged_at_end(self) -> list[float]:
        """Seconds behind the last key frame near which something cannot be decoded."""
        keys, decoding = self._index.keys, Decoding()
        if not len(keys):
            return []
        self._begin(len(keys) - 1, decoding)
        for _ in self._remembered():
            pass
        if not self._is_refreshed:  # what is there may be made from what came before
            return []
        return [second for second in decoding.damaged if second > keys[-1] + _ALIKE]

    def _is_whole(self, grid: Grid, pick: Pick[Picture] | None) -> bool:
        """Whether no picture was left out where a pick and its neighbours were looked for."""
        if pick is None or pick.picture is None or not len(self._index.shown):
            return True
        if self._video.stream.codec_context.name not in _LEAVES_OUT:
            return True
        picture, tick = pick.picture, self._index.tick
        frames = [picture.frame]
        if self.pixels.is_interlaced(picture):
            frames += [frame for frame in (picture.before, picture.after) if frame is not None]
        seen = {round(frame.pts * tick, 6) for frame in frames if frame.pts is not None}
        if pick.gap:
            seen.add(round(pick.time + pick.gap, 6))
        first = min(*seen, pick.time, grid.instant(pick.k) - grid.tolerance)
        there = self._index.shown
        between = (there > first - _ALIKE) & (there < max(*seen, pick.time) + _ALIKE)
        return int(between.sum()) == len(seen)

    def _stands_before(self, second: float) -> bool:
        """Whether decoding on reaches a picture as soon as decoding from a key frame does."""
        if not self._passed or self._passed[0][0] > second:
            return False
        keys = self._index.keys
        at = self._passed[-1][0]
        return at >= second or bool(np.all((keys <= at) | (keys > second)))

    def _keys_before(self, second: float) -> list[int | None]:
        last = int(np.searchsorted(self._index.keys, second, "right")) - 1
        return [*range(last, max(last - _KEYS_TRIED, 0), -1), None]

    def _next(self, grid: Grid, k: int) -> Pick[Picture] | None:
        again = list(self._passed)
        return next(picked(itertools.chain(again, self._remembered()), grid, k), None)

    def _remembered(self) -> Iterator[tuple[float, Picture]]:
        for item in self._pictures:
            if self._first is None:
                self._first = item[0]
                self._is_refreshed = self._is_intra(item[1].frame)
            self._passed.append(item)
            yield item

    def _is_intra(self, frame: VideoFrame) -> bool:
        """Whether a picture at which decoding began needs no other.

        H.264 that refreshes stripes of its pictures in turn calls pictures key frames from which on
        one is whole again only after some others.
        """
        is_h264 = self._video.stream.codec_context.name == "h264"
        return not is_h264 or frame.pict_type == PictureType.I

    def _begin(
        self, key: int | None, decoding: Decoding | None = None, wanted: Set[int] | None = None
    ) -> None:
        self._passed.clear()
        self._first = None
        packets = None if key is None else self._sought(key)
        since = -np.inf
        if packets is None:
            self._stack.close()
            self._video = self._stack.enter_context(open_video(self._path, self._options.stream))
            packets = demux(self._video)
        else:
            first = next(packets)
            assert first.pts is not None
            since = first.pts * self._index.tick - _ALIKE
            packets = itertools.chain([first], packets)
        frames = (
            frame
            for frame in decode(self._video.stream, packets, decoding, wanted)
            # What is shown before the key frame may need pictures before it.
            if frame.pts is None or frame.pts * self._index.tick >= since
        )
        self._pictures = timed(frames, self._index.times, self._index.tick)

    def _sought(self, key: int) -> Iterator[Packet] | None:
        """The packets from a key frame on, or from one before it; None where none is found."""
        second, dts = self._index.keys[key], self._index.key_dts[key]
        shown = round(second / self._index.tick)  # where MP4 is sought; most others by `dts`
        for place in (shown, *(int(dts - earlier / self._index.tick) for earlier in _EARLIER)):
            packets = _from(self._video, place)
            if packets is None:
                return None
            for packet in packets:
                if not (packet.size and packet.is_keyframe and packet.pts is not None):
                    continue
                time = packet.pts * self._index.tick
                if time > second + _ALIKE:
                    break  # too far
                near = np.searchsorted(self._index.keys, time - _ALIKE)
                if abs(self._index.keys[near] - time) <= _ALIKE:
                    return itertools.chain([packet], packets)
        return None


def _from(video: OpenVideo, place: int) -> Iterator[Packet] | None:
    try:
        video.container.seek(place, stream=video.stream, backward=True)
    except (av.FFmpegError, OverflowError):
        return None
    return demux(video)
