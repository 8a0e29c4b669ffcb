"""What has to be known of a video file before its pictures are read in order or at any place."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgvista_jax.data.storage.video_pictures import Decoding, Picture, decode, timed
from surgvista_jax.data.storage.video_stream import (
    OpenVideo,
    UnreadableVideo,
    VideoOptions,
    demux,
    open_video,
)
from surgvista_jax.data.storage.video_times import (
    Packets,
    Times,
    measure,
    packets_missing,
    read_packets,
)

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
    """

    times: Times
    keys: np.ndarray
    key_dts: np.ndarray
    shown: np.ndarray
    tick: float
    promised: int | None
    missing: int
    others: tuple[str, ...]


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
        return Index(times, keys, key_dts, shown, packets.tick, promised, missing, video.others)


def pictures(
    video: OpenVideo, index: Index, decoding: Decoding | None = None
) -> Iterator[tuple[float, Picture]]:
    """The pictures of a file that has just been opened, with their times."""
    return timed(decode(video.stream, demux(video), decoding), index.times, index.tick)


def _keys(packets: Packets) -> tuple[np.ndarray, np.ndarray]:
    usable = packets.key & np.isfinite(packets.pts)
    pts = packets.pts[usable]
    dts = np.where(np.isfinite(packets.dts[usable]), packets.dts[usable], pts)
    order = np.argsort(pts, kind="stable")
    return pts[order] * packets.tick, dts[order]
