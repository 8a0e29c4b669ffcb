"""What has to be known of a video file before its pictures are read in order or at any place."""

import itertools
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from surgvista_jax.data.rates import Grid, picked
from surgvista_jax.data.storage.video_pictures import Decoding, Picture, decode, timed
from surgvista_jax.data.storage.video_stream import (
    OpenVideo,
    UnreadableVideo,
    VideoOptions,
    demux,
    open_video,
)
from surgvista_jax.data.storage.video_times import (
    TELL_LENGTH,
    Packets,
    Times,
    measure,
    read_packets,
)

# Decoders that can leave out pictures that no other is predicted from.
_LEAVE_OUT = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video"})
_SLACK = 1.0  # seconds by which headers of whole recordings are wrong
_TELL_END = ("matroska", "asf")  # their headers count from zero, however late the first picture
_HEAD = 64  # pictures that are decoded to see whether their time stamps can be believed


@dataclass(frozen=True, eq=False)
class Index:
    """The clock of a video and where decoding can begin.

    Attributes:
        times: its clock.
        keys: [m] ascending seconds of key frames; none where pictures are counted.
        key_dts: [m] when they are decoded, in ticks; where the file is sought.
        shown: [n] ascending seconds of the packets' pictures; none where pictures are counted.
        tick: seconds of a time stamp of the stream.
        promised: packets that the header promises; None: it promises nothing.
        missing: how many of these are not there; below 0: there are more.
        others: the other streams of pictures, in words.
        interlaced: some of the first pictures are.
    """

    times: Times
    keys: np.ndarray
    key_dts: np.ndarray
    shown: np.ndarray
    tick: float
    promised: int | None
    missing: int
    others: tuple[str, ...]
    interlaced: bool


def read_index(path: Path, options: VideoOptions) -> Index:
    """Goes through a file once, decoding only its beginning.

    Raises:
        UnreadableVideo: it is no video, or nothing in it can be decoded.
    """
    with open_video(path, options.stream) as video:
        packets = read_packets(video)
        promised, missing = packets_missing(video, packets)
        with open_video(path, options.stream) as again:
            head = list(itertools.islice(decode(again.stream, demux(again)), _HEAD))
        if not head:
            raise UnreadableVideo("no frame in it can be read; is the file whole?")
        times = measure(video, packets, [frame.pts for frame in head], options)
        keys = key_dts = shown = np.zeros(0)
        if not times.by_number:
            keys, key_dts = _keys(packets)
            shown = np.unique(packets.pts[packets.shown & np.isfinite(packets.pts)]) * packets.tick
        interlaced = any(frame.interlaced_frame for frame in head)
        tick, others = packets.tick, video.others
        return Index(times, keys, key_dts, shown, tick, promised, missing, others, interlaced)


def packets_missing(video: OpenVideo, packets: Packets) -> tuple[int | None, int]:
    """How many packets the header promises (None: nothing), and how many of them are not there.

    Of a header that tells only how long the recording is, the missing packets are estimated.
    """
    container, stream = video.container, video.stream
    there = len(packets.pts) + packets.empty
    hidden = int(np.sum(~packets.shown))
    name = container.format.name
    if name.startswith("mov"):  # its index, from which an edit list has been cut already
        promised = max(len(stream.index_entries), there)
    elif name == "avi":  # dropped pictures are counted but have no packet
        promised = stream.frames
        there = max(there, int(np.max(packets.dts, initial=-1, where=~np.isnan(packets.dts))) + 1)
    elif name.startswith(TELL_LENGTH) and container.duration and np.isfinite(packets.end):
        lacking = _told_end(container) - packets.end
        rate = stream.average_rate
        if rate is None or lacking <= _SLACK:
            return there - hidden, 0
        return there - hidden + round(lacking * rate), round(lacking * rate)
    else:
        return None, 0
    return (promised - hidden, promised - there) if promised else (None, 0)


def _told_end(container: InputContainer) -> float:
    """The second at which the recording ends, by a header that tells how long it is."""
    name, length = container.format.name, (container.duration or 0) / av.time_base
    lengths = [
        float(stream.duration * stream.time_base)
        for stream in container.streams
        if stream.duration is not None and stream.time_base is not None
    ]
    if name.startswith(_TELL_END):  # FFmpeg takes it for a length, to which a late start is added
        return max(lengths, default=length)
    return (container.start_time or 0) / av.time_base + length


def pictures(
    video: OpenVideo,
    index: Index,
    decoding: Decoding | None = None,
    wanted: Set[int] | None = None,
) -> Iterator[tuple[float, Picture]]:
    """The pictures of a file that has just been opened, with their times.

    Args:
        video: the file.
        index: its index.
        decoding: where it is noted what could not be decoded.
        wanted: time stamps of the pictures that are needed; None: all.
    """
    return timed(decode(video.stream, demux(video), decoding, wanted), index.times, index.tick)


def needed(index: Index, grid: Grid, codec: str) -> Set[int] | None:
    """Time stamps of the pictures that frames at the instants of a grid show.

    None where all have to be decoded: they are counted, deinterlaced by their neighbours, or
    of a codec whose decoder is not known to leave out just what it should.
    """
    times = index.times
    if codec not in _LEAVE_OUT or index.interlaced or times.by_number or not len(index.shown):
        return None
    seconds = {float(index.shown[0]), float(index.shown[-1])}
    for pick in picked(((float(s), s) for s in index.shown), grid):
        seconds |= {pick.time, pick.time + pick.gap}
    return {round(second / index.tick) for second in seconds}


def _keys(packets: Packets) -> tuple[np.ndarray, np.ndarray]:
    usable = packets.key & np.isfinite(packets.pts)
    pts = packets.pts[usable]
    dts = np.where(np.isfinite(packets.dts[usable]), packets.dts[usable], pts)
    order = np.argsort(pts, kind="stable")
    return pts[order] * packets.tick, dts[order]
