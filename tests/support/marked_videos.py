"""How do tests come by small videos of any container, codec and clock, with known pictures?

Each picture tells its own number by ten black and white bars, which survive every lossy codec, and
below them a block moves on with every field, so that the two fields of an interlaced picture
differ as they do from a camera. PyAV alone writes and reads them.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from av.stream import Disposition

BITS = 10  # numbers below 1,024
BARS_SHARE = 0.75  # of the height; the moving block has the rest
PIXEL_FORMATS = {
    "mjpeg": "yuvj420p",
    "png": "rgb24",
    "prores": "yuv422p10le",
    "huffyuv": "yuv422p",
}
OPTIONS = {
    "libx264": {"preset": "ultrafast", "b_strategy": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "b": "400k"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "400k"},
    "libsvtav1": {"preset": "10", "crf": "30", "svtav1-params": "lp=1"},
    "mpeg1video": {"qmax": "8"},
    "mpeg2video": {"qmax": "8"},
    "mpeg4": {"qmax": "8"},
    "mjpeg": {"qmax": "8"},
}
REORDERING = ("libx264", "libx265", "mpeg1video", "mpeg2video", "mpeg4")
SOUND_CODECS = {  # elsewhere MP2
    ".webm": "libopus",
    ".mp4": "aac",
    ".mov": "aac",
    ".flv": "aac",
}
SOUND_RATE = 48000
os.environ.setdefault("SVT_LOG", "-1")  # the encoder of AV1 prints its settings otherwise


@dataclass(frozen=True)
class Pictures:
    """The pictures of one stream.

    Attributes:
        codec: an encoder of PyAV's FFmpeg.
        count: how many pictures.
        fps: the rate that the header tells, and of the pictures where `times` are none.
        times: the second at which each picture is shown; None: evenly from `start` on. A container
            without time stamps of its own (AVI) holds only multiples of 1 / fps.
        start: the second of the first picture where `times` are none; below zero (a multiple of
            1 / fps), the pictures before zero are in the file but not shown, by an edit list, which
            only MP4 and MOV hold.
        first: the number that the first picture tells.
        size: width and height.
        fields: which field of an interlaced picture comes first, "top" or "bottom"; "": no fields.
        pixel_aspect: width of a pixel over its height.
        key_every: pictures from one key frame to the next.
        between: B pictures between two others.
        grain: height of a noise that makes pictures larger than a packet of an MPEG program stream.
        cover: the stream is an attached cover picture.
    """

    codec: str = "libx264"
    count: int = 75
    fps: Fraction = Fraction(25)
    times: tuple[Fraction, ...] | None = None
    start: Fraction = Fraction(0)
    first: int = 0
    size: tuple[int, int] = (96, 64)
    fields: str = ""
    pixel_aspect: Fraction = Fraction(1)
    key_every: int = 12
    between: int = 2
    grain: int = 0
    cover: bool = False

    @property
    def shown(self) -> list[tuple[int, Fraction]]:
        """Number and second of each picture that a player shows, in order."""
        times = self.times or [self.start + index / self.fps for index in range(self.count)]
        return [(self.first + n, time) for n, time in enumerate(times) if time >= 0]

    def second(self, index: int) -> Fraction:
        """When picture `index` is shown; goes on at `fps` beyond both ends."""
        if self.times is None:
            return self.start + index / self.fps
        inside = min(max(index, 0), self.count - 1)
        return self.times[inside] + (index - inside) / self.fps


def with_hole(count: int, fps: Fraction, after: int, seconds: Fraction) -> tuple[Fraction, ...]:
    """Times of `count` pictures; the recorder dropped `seconds` after the first `after` of them."""
    return tuple(index / fps + (seconds if index >= after else 0) for index in range(count))


def slowed(count: int, fps: Fraction, after: int, times_slower: int) -> tuple[Fraction, ...]:
    """Times of `count` pictures that come at a lower rate from picture `after` on."""
    return tuple(
        (min(index, after) + max(index - after, 0) * times_slower) / fps for index in range(count)
    )


def picture(number: int, size: tuple[int, int], field: int | None = None) -> np.ndarray:
    """[height, width] uint8 that tells a number; its block stands where it is in field `field`."""
    width, height = size
    bars = np.array([255 * (number >> bit & 1) for bit in range(BITS)], np.uint8)
    image = np.tile(bars[np.arange(width) * BITS // width], (height, 1))
    block = image[round(height * BARS_SHARE) :]
    block[:] = 0
    at = (2 * number if field is None else field) * (width // 24) % width
    block[:, at : at + width // 8] = 255
    return image


def number(image: np.ndarray) -> int:
    """The number that a picture [H, W] or [H, W, 3] tells, whatever its size; -1 if it is black."""
    grey = np.asarray(image, float).reshape(*image.shape[:2], -1).mean(-1)
    if grey.max() < 32:
        return -1
    grey = grey[: round(len(grey) * BARS_SHARE)].mean(0)
    middles = (np.arange(BITS) + 0.5) * len(grey) / BITS  # the edges of bars blur
    return sum(int(grey[int(middle)] > 127) << bit for bit, middle in enumerate(middles))


def is_combed(image: np.ndarray) -> bool:
    """Whether the block stands at two places: in one in even lines, in another in odd ones."""
    grey = np.asarray(image, float).reshape(*image.shape[:2], -1).mean(-1)
    block = grey[round(len(grey) * BARS_SHARE) + 4 :]
    even, odd = block[::2].mean(0), block[1::2].mean(0)
    return bool(np.abs(even - odd).max() > 64)


def write(
    path: Path,
    *streams: Pictures,
    sound: tuple[Fraction, Fraction] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a video of one or several streams; its suffix says the container.

    Args:
        path: the file.
        streams: the pictures of each stream, in the order of the file.
        sound: first and last second of a stream of sound; None: no sound.
        options: of FFmpeg's muxer, such as {"movflags": "faststart"}.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {".mpg": "vob", ".h264": "h264", ".m2v": "mpeg2video"}.get(path.suffix)
    if path.suffix == ".mpg":  # which tells the time of at most one picture a packet
        options = {"packetsize": "512"} | (options or {})
    opened = av.open(str(path), "w", format=kind, options=options or {})
    with _scheduled_as_before(), opened as container:
        outputs = [_add(container, pictures) for pictures in streams]
        packets = [
            packet
            for pictures, output in zip(streams, outputs, strict=True)
            for packet in _packets(pictures, output)
        ]
        if sound is not None:
            packets += _sound(container, SOUND_CODECS.get(path.suffix, "mp2"), *sound)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


@contextlib.contextmanager
def _scheduled_as_before() -> Iterator[None]:
    """Leaves the thread its scheduling, which SVT-AV1 makes root's of real time, and keeps so.

    All that such a thread starts would go before every other process of the machine, and a browser
    of which every part does so hangs.
    """
    if not hasattr(os, "sched_setscheduler"):  # not on Linux
        yield
        return
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameter)


def shown(path: Path, stream: int = 0) -> list[tuple[int, float]]:
    """Number and second of each picture, as PyAV decodes them."""
    with av.open(str(path)) as container:
        start = (container.start_time or 0) / av.time_base
        return [
            (number(frame.to_ndarray(format="gray")), round((frame.time or 0) - start, 3))
            for frame in container.decode(video=stream)
        ]


def expected(
    shown: Sequence[tuple[int, Fraction]], fps: Fraction, clock: Fraction = Fraction(0)
) -> list[int]:
    """The numbers that an extraction of pictures (number, second) must tell.

    Frame k is the first picture at or after clock + k / fps if it comes within half of 1 / fps;
    else the recording has a hole there, and the last picture before it is repeated; where there
    is none before, the frame is black (-1).
    """
    told, k = [], 0
    while (wanted := clock + k / fps) <= shown[-1][1]:
        after = next(index for index, (_, time) in enumerate(shown) if time >= wanted)
        is_hole = shown[after][1] > wanted + 1 / fps / 2
        shows = after - is_hole
        told.append(shown[shows][0] if shows >= 0 else -1)
        k += 1
    return told


def rotate(path: Path, degrees: int) -> Path:
    """Lets an MP4 or MOV say that its pictures are to be turned clockwise by 90, 180 or 270."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix, in 16.16
    for place, value in enumerate([cosine, sine, 0, -sine, cosine]):
        data[at + 4 * place : at + 4 * place + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    return path


def damage(path: Path, begin: float = 0.5, end: float = 0.6) -> Path:
    """Overwrites a part of a file, from one share of its length to another."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * begin), int(len(data) * end)
    data[first:last] = np.random.default_rng(0).bytes(last - first)
    path.write_bytes(data)
    return path


def _add(container, pictures: Pictures):
    """A stream for the pictures, with its encoder set up."""
    options = dict(OPTIONS.get(pictures.codec, {}), g=str(pictures.key_every))
    if pictures.codec in REORDERING:
        options["bf"] = str(pictures.between)
    if pictures.fields:
        options["flags"] = "+ildct+ilme"
    stream = container.add_stream(pictures.codec, rate=pictures.fps, options=options)
    stream.width, stream.height = pictures.size
    stream.pix_fmt = PIXEL_FORMATS.get(pictures.codec, "yuv420p")
    stream.codec_context.sample_aspect_ratio = pictures.pixel_aspect
    stream.codec_context.thread_count = 1
    if pictures.cover:
        stream.disposition = Disposition.attached_pic
    return stream


def _packets(pictures: Pictures, stream) -> Iterator[av.Packet]:
    """Encodes at an even rate, and gives each packet its own time afterwards."""
    encoded = [packet for frame in _frames(pictures, stream) for packet in stream.encode(frame)]
    for place, packet in enumerate([*encoded, *stream.encode()]):
        ticks = 1 / (pictures.fps * packet.time_base)  # of a picture
        index, decoded = round(packet.pts / ticks), round(packet.dts / ticks)
        if stream.container.format.name == "avi":  # it knows the order of packets alone
            index = decoded = place
        packet.time_base = Fraction(1, 90000)
        packet.pts = round(pictures.second(index) * 90000)
        packet.dts = round(pictures.second(decoded) * 90000)
        packet.duration = round(pictures.second(index + 1) * 90000) - packet.pts
        yield packet


def _frames(pictures: Pictures, stream) -> Iterator[av.VideoFrame]:
    graph = Graph()
    width, height = pictures.size
    base = 1 / pictures.fps
    source = graph.add_buffer(width=width, height=height, format="gray", time_base=base)
    order = {"top": "tff", "bottom": "bff", "": "prog"}[pictures.fields]
    convert, mark = graph.add("format", stream.pix_fmt), graph.add("setfield", order)
    graph.link_nodes(source, convert, mark, graph.add("buffersink")).configure()
    random = np.random.default_rng(0)
    for index in range(pictures.count):
        told = pictures.first + index
        image = picture(told, pictures.size)
        if pictures.fields:
            second_field = 1 if pictures.fields == "top" else 0
            image[second_field::2] = picture(told, pictures.size, 2 * told + 1)[second_field::2]
        noise = random.integers(-pictures.grain, pictures.grain + 1, image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="gray")
        frame.pts, frame.time_base = index, base
        graph.push(frame)
        yield graph.pull()


def _sound(container, codec: str, begin: Fraction, end: Fraction) -> list[av.Packet]:
    """A tone, from one second to another."""
    stream = container.add_stream(codec, rate=SOUND_RATE, layout="mono")
    stream.codec_context.open()
    block = stream.codec_context.frame_size or 1024
    kind = stream.codec_context.format.name
    packets = []
    for at in range(0, int((end - begin) * SOUND_RATE), block):
        wave = np.sin(np.arange(at, at + block) * 2 * np.pi * 440 / SOUND_RATE) / 4
        samples = wave if kind.startswith("flt") else wave * 32767
        values = samples.astype(np.float32 if kind.startswith("flt") else np.int16)[None]
        frame = av.AudioFrame.from_ndarray(values, format=kind, layout="mono")
        frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
        frame.pts = round(begin * SOUND_RATE) + at
        packets += stream.encode(frame)
    packets += stream.encode()
    if container.format.name not in ("matroska", "webm", "mp4", "mov"):
        # The others do not say how many samples the decoder of the sound needs to start.
        late = round(begin * SOUND_RATE) - packets[0].pts
        for packet in packets:
            packet.pts, packet.dts = packet.pts + late, packet.dts + late
    return packets
