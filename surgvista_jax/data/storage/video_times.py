"""When each picture of a video file is shown: its packets' time stamps, or where these are broken,
its pictures counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import av
import numpy as np

from surgvista_jax.data.rates import ROUNDING, Grid, is_rate
from surgvista_jax.data.storage.video_stream import (
    OpenVideo,
    UnreadableVideo,
    VideoOptions,
    demux,
)

# Files of these hold no time stamps: FFmpeg counts at a rate that it guesses.
_BARE = frozenset("h264 hevc vvc m4v mpegvideo h261 h263 mjpeg obu dirac vc1 cavsvideo".split())
# Their headers tell how long the recording is; of others FFmpeg estimates it by what is there.
TELL_LENGTH = ("matroska", "asf", "flv", "mxf")
# Packets are stored in the order of decoding, which differs from that of showing by so many.
_REORDERED = 32
_WINDOW = 48  # pictures, over which the rate is measured: times are rounded, cameras are uneven
_LONGEST_GAP = 1800.0  # seconds; a longer one is a broken time stamp, no pause
_SAME_RATE = 0.01  # steps as near as this to a rate are of that rate
_SOME = 0.1  # share of the pictures
_MOST_TOLERANCE = 1e-3  # seconds
_DROPPED = 4  # pictures that one packet may hold the room of: fewer missing are no hole in an AVI
_MISSING, _MISSING_FIELDS = 0.1, 0.55  # share of packets without a time; of fields, every second


@dataclass(frozen=True, eq=False)
class Packets:
    """What the packets of the pictures say, in the order of the file.

    Attributes:
        pts, dts: [n] when a packet is shown and decoded, in ticks; NaN where it does not say.
        key: [n] bool, decoding can begin there.
        shown: [n] bool, not cut off by an edit list.
        tick: seconds.
        end: second at which the last packet of any stream ends.
        empty: packets without content, which stand for a dropped picture.
    """

    pts: np.ndarray
    dts: np.ndarray
    key: np.ndarray
    shown: np.ndarray
    tick: float
    end: float
    empty: int


@dataclass(frozen=True, eq=False)
class Times:
    """The clock of a video.

    Attributes:
        start: second at which the recording begins.
        first: second of the first picture.
        fps: pictures a second where they come quickest.
        tick: seconds to which times are rounded.
        counted: why pictures are counted at `fps` instead of believing time stamps; "": they are
            believed.
        told: the header told the rate at which they are counted, or time stamps did.
        num_pictures: packets of pictures that are shown.
        drift: the most by which a picture's time differs from its number / `fps`, in seconds.
        listed: [num_pictures] seconds of the pictures in the order of showing, where a file tells
            when packets are decoded and not when pictures are shown; empty: time stamps tell it.
        stamps: [num_pictures] the time stamps of these, in ticks; empty: they are out of order.
    """

    start: float
    first: float
    fps: float
    tick: float
    counted: str
    told: bool
    num_pictures: int
    drift: float = 0.0
    listed: np.ndarray = field(default_factory=lambda: np.zeros(0))
    stamps: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def by_number(self) -> bool:
        """Whether pictures' times are known by reading from the start of the file alone."""
        return bool(self.counted) or len(self.listed) > 0

    def of_listed(self, number: int, stamp: int | None) -> float | None:
        """The second of a listed picture: by its time stamp, else its number; None if unlisted."""
        if stamp is not None and len(self.stamps):  # damage takes pictures out of the count
            number = int(np.searchsorted(self.stamps, stamp))
        return float(self.listed[number]) if number < len(self.listed) else None

    @property
    def lead(self) -> float:
        """Seconds from the start of the recording to its first picture."""
        return self.first - self.start

    def grid(self, fps: float, clock: str) -> Grid:
        """The instants of frames at a rate; at a higher one than this video's pictures repeat."""
        start = self.start if clock == "container" else self.first
        if fps >= self.fps * (1 - ROUNDING):
            # All pictures are wanted: the grid moves by less than half a frame to where they are,
            # so that none is taken twice because another is nearer by a rounded millisecond.
            start = self.first - round((self.first - start) * fps) / fps
        tolerance = max(min(self.tick / 2, _MOST_TOLERANCE), ROUNDING / self.fps) + 1e-6
        return Grid(start, fps, tolerance, grace=1 / self.fps + tolerance)


def read_packets(video: OpenVideo) -> Packets:
    """Reads all packets without decoding any."""
    container, stream = video.container, video.stream
    assert stream.time_base is not None
    tick = float(stream.time_base)
    rows: list[tuple[float, float, bool, bool]] = []
    end, empty = -np.inf, 0
    ticks = {s.index: float(s.time_base) for s in container.streams if s.time_base}
    of_all = container.format.name.startswith(TELL_LENGTH)
    try:
        for packet in container.demux() if of_all else demux(video):
            if packet.dts is None and packet.pts is None and not packet.size:
                continue  # the end
            time = packet.dts if packet.pts is None else packet.pts
            number = packet.stream_index
            if time is not None and number in ticks:
                end = max(end, (time + (packet.duration or 0)) * ticks[number])
            if number != stream.index:
                continue
            if not packet.size:
                empty += 1
                continue
            pts = np.nan if packet.pts is None else packet.pts
            dts = np.nan if packet.dts is None else packet.dts
            rows.append((pts, dts, packet.is_keyframe, not packet.is_discard))
    except av.FFmpegError:
        pass  # the file ends here
    table = np.array(rows, float).reshape(-1, 4)
    key, shown = table[:, 2] > 0, table[:, 3] > 0
    return Packets(table[:, 0], table[:, 1], key, shown, tick, end, empty)


def measure(
    video: OpenVideo, packets: Packets, decoded: Sequence[float | None], options: VideoOptions
) -> Times:
    """Finds the clock of a video.

    Args:
        video: the open file.
        packets: all its packets.
        decoded: ticks of its first decoded pictures.
        options: how it is read.

    Raises:
        UnreadableVideo: neither time stamps nor the header nor the user tell a rate.
    """
    name = video.container.format.name
    why = "a bare stream of pictures" if name in _BARE else ""
    times = np.unique(packets.pts[packets.shown & np.isfinite(packets.pts)]) * packets.tick
    listed, stamps = np.zeros(0), np.zeros(0)
    if name == "avi":
        listed, stamps = _listed(packets, decoded)
    if len(listed):
        times = listed
    why = why or ("" if len(listed) else _broken(video, packets, decoded, times))
    rates = _header_rates(video)
    num_pictures = int(packets.shown.sum())
    if why:
        fps = options.source_fps or next(iter(rates), None)
        if fps is None:
            said = float(video.stream.average_rate or video.stream.guessed_rate or 0)
            raise UnreadableVideo(
                f"it has no usable time stamps ({why}), and its header says a frame rate of "
                f"{said:g}; give the true one by --source-fps"
            )
        told = options.source_fps is None
        return Times(0.0, 0.0, fps, 1 / fps, why, told, num_pictures)
    fps = _measured_rate(times, rates, packets.tick)
    first = next((ticks for ticks in decoded if ticks is not None), None)
    if len(listed):
        first = None
    first_time = float(times[0]) if first is None else first * packets.tick
    start = beginning(video, first_time)
    numbers = np.arange(len(times)) / fps
    drift = float(np.abs(times - times[0] - numbers).max())
    return Times(
        start, first_time, fps, packets.tick, "", True, num_pictures, drift, listed, stamps
    )


def _listed(packets: Packets, decoded: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
    """`Times.listed` and `Times.stamps` of an AVI; empty where its time stamps can be believed.

    An AVI holds the order of packets alone. Where pictures are shown in another order, FFmpeg's
    time stamps are late by what its decoder waits for, or permuted.
    """
    ticks = np.sort(packets.dts[np.isfinite(packets.dts)])
    head = np.array([np.nan if tick is None else tick for tick in decoded], float)
    if not len(ticks) or np.any(np.diff(ticks) <= 0) or np.array_equal(head, ticks[: len(head)]):
        return np.zeros(0), np.zeros(0)
    even = ticks[0] + np.arange(len(ticks))
    is_whole = ticks[-1] - even[-1] < _DROPPED
    stamps = np.unique(packets.pts)
    in_order = len(stamps) == len(ticks) and np.array_equal(head, stamps[: len(head)])
    return (even if is_whole else ticks) * packets.tick, stamps if in_order else np.zeros(0)


def _broken(
    video: OpenVideo, packets: Packets, decoded: Sequence[float | None], times: np.ndarray
) -> str:
    """What is wrong with the time stamps; "" where nothing is."""
    if not len(times) or not len(decoded):
        return "there are none"
    fields = 1 < int(video.stream.codec_context.field_order) < 6
    missing = np.isnan(packets.pts).mean()
    if missing > (_MISSING_FIELDS if fields else _MISSING):
        return "they are missing"
    if len(packets.pts) == 1:
        return ""
    if len(times) < packets.shown.sum() * (1 - missing) * 0.9:
        return "many pictures have the same"
    if times[-1] <= times[0] or not is_rate(_measured_rate(times, [], packets.tick)):
        return f"{len(times)} pictures within {times[-1] - times[0]:.3g} s"
    known = packets.pts[np.isfinite(packets.pts)]
    places = np.argsort(np.argsort(known, kind="stable"))
    if np.abs(places - np.arange(len(known))).max() > _REORDERED:
        return "they jump back"
    if np.diff(times).max() > _LONGEST_GAP:
        return f"they jump by {np.diff(times).max():.0f} s"
    shown = np.array([ticks for ticks in decoded if ticks is not None], float)
    if len(shown) < len(decoded) / 2:
        return "they are missing"
    if np.sum(np.diff(shown) <= 0) > 1:
        return "they do not ascend"
    return ""


def _measured_rate(times: np.ndarray, header: Sequence[float], tick: float) -> float:
    """Pictures a second where they come quickest: cameras slow down in the dark, recorders pause.

    Args:
        times: [n] seconds, ascending.
        header: the header's rates; the highest at which some of the pictures come is exact.
        tick: seconds to which times are rounded.
    """
    if len(times) < 2:
        return next(iter(header), 1.0)
    steps = np.diff(times)
    for told in sorted(header, reverse=True):
        if np.mean(np.abs(steps - 1 / told) < min(tick, 0.1 / told) + _SAME_RATE / told) > _SOME:
            return told
    window = max(1, min(_WINDOW, len(times) // 4))
    spans = times[window:] - times[:-window]
    return window / max(float(np.quantile(spans, 0.25)), 1e-9)


def _header_rates(video: OpenVideo) -> list[float]:
    stream = video.stream
    told = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return [float(rate) for rate in told if rate and is_rate(float(rate))]


def beginning(video: OpenVideo, first: float | None = None) -> float:
    """The second at which the recording begins, with its pictures or its sound.

    Args:
        first: second of the first picture; None: what the header says of it.
    """
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in (video.stream, *video.container.streams.audio)
        if stream.start_time is not None and stream.time_base is not None
    ]
    first = first_told(video) if first is None else first
    start = min(min(starts, default=0.0), first)
    if start < 0 <= first:  # sound that its decoder needs to settle
        start = 0.0
    return first if first - start > _LONGEST_GAP else start


def first_told(video: OpenVideo) -> float:
    """The second of the first picture by the header; 0 where that does not say."""
    stream = video.stream
    if stream.start_time is None or stream.time_base is None:
        return 0.0
    return float(stream.start_time * stream.time_base)
