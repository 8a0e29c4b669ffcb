"""Opening a video file: which of its streams are the pictures, and what its header says of them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

# Complaints of decoders are counted where they occur and told by the caller.
av.logging.set_level(None)

CLOCKS = ("container", "picture")
DEINTERLACE = ("auto", "off")
_NO_VIDEO = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
# To see whether a stream is one picture: packets that are looked at, of all streams together.
_PACKETS_LOOKED_AT = 2000
# Demuxers that make text a picture.
_TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})


class UnreadableVideo(Exception):
    """No frames can be read from a video; the text says why and what would help."""


@dataclass(frozen=True)
class VideoOptions:
    """How a video file is read.

    Attributes:
        clock: where time begins: "container", with whatever the file has first (pictures may start
            later than sound); "picture", with the first picture.
        stream: number of the stream in the file; None: the one with most pixels.
        deinterlace: "auto", pictures that say that they are interlaced; "off", none.
        source_fps: rate of files whose time stamps are missing or broken; None: the header's.
    """

    clock: str = "container"
    stream: int | None = None
    deinterlace: str = "auto"
    source_fps: float | None = None

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS:
            raise ValueError(f"clock must be one of {', '.join(CLOCKS)}, not {self.clock!r}")
        if self.deinterlace not in DEINTERLACE:
            raise ValueError(
                f"deinterlace must be one of {', '.join(DEINTERLACE)}, not {self.deinterlace!r}"
            )


@dataclass(frozen=True)
class OpenVideo:
    """An open video file and the stream of its pictures.

    Attributes:
        path: the file.
        container: PyAV's.
        stream: the chosen stream.
        others: the other streams of pictures that could have been meant, in words.
    """

    path: Path
    container: InputContainer
    stream: VideoStream
    others: tuple[str, ...] = ()


# Where these decode pictures side by side, one may be given before it is known that it is damaged.
_TELL_LATE = frozenset("mpeg4 msmpeg4 msmpeg4v1 msmpeg4v2 h263 h263p flv".split())


@contextmanager
def open_video(
    path: Path, wanted: int | None = None, threads: int = 1, sure: bool = False
) -> Iterator[OpenVideo]:
    """Opens a video file at the stream of its pictures.

    Args:
        path: the file.
        wanted: number of the stream in the file; None: the one with most pixels that is no single
            picture.
        threads: threads that decode.
        sure: each picture tells that it is damaged: threads share its slices (often one) alone.

    Raises:
        UnreadableVideo: it cannot be opened, holds no such stream, or no decoder is there for it.
    """
    with _opened(path) as container:
        streams = _real_streams(path, container)
        stream = _chosen(streams, container, wanted)
        if stream.codec_context is None:
            raise UnreadableVideo(_UNDECODABLE)
        stream.codec_context.thread_count = threads
        sure = sure or stream.codec_context.name in _TELL_LATE
        stream.thread_type = "SLICE" if sure else "AUTO"
        others = tuple(describe(other) for other in streams if other.index != stream.index)
        yield OpenVideo(path, container, stream, others)


def demux(video: OpenVideo) -> Iterator[Packet]:
    """The packets of the pictures, as far as the file can be read, and one that says the end."""
    places: dict[int | None, int] = {}
    if video.container.format.name == "avi":
        # Where something is lost, FFmpeg counts on; the index knows which picture stands where.
        places = {e.pos + _AVI_HEADER: e.timestamp for e in video.stream.index_entries}
    try:
        for packet in video.container.demux(video.stream):
            place = places.get(packet.pos)
            if place is not None and packet.dts is not None and place != packet.dts:
                if packet.pts is not None:
                    packet.pts += place - packet.dts
                packet.dts = place
            yield packet
    except av.FFmpegError:
        yield Packet()


_AVI_HEADER = 8  # bytes of a chunk before its content

_UNDECODABLE = (
    "its pictures are coded in a way that no decoder here knows; re-encode it, for example as H.264"
)


def describe(stream: VideoStream) -> str:
    """A stream in words, such as `1 (1920x1080 h264)`."""
    if stream.codec_context is None:
        return f"{stream.index} (of an unknown codec)"
    return f"{stream.index} ({stream.width}x{stream.height} {stream.codec_context.name})"


def is_video(path: Path) -> bool:
    """Whether a file that could be anything is a video: FFmpeg reads two pictures of it."""
    try:
        with open(path, "rb") as file:
            if _is_text(file.read(1024)):
                return False
        with open_video(path) as video:
            if video.container.format.name in _TEXT_FORMATS:
                return False
            decoded = 0
            for _ in video.container.decode(video.stream):
                decoded += 1
                if decoded == 2:
                    return True
    except (OSError, UnreadableVideo, av.FFmpegError):
        pass
    return False


def _is_text(beginning: bytes) -> bool:
    if b"\0" in beginning:
        return False
    try:
        beginning[:-3].decode()
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    if not os.access(path, os.R_OK):
        raise UnreadableVideo("the file is missing or may not be read")
    if path.is_file() and not path.stat().st_size:
        raise UnreadableVideo("the file is empty; was it copied whole?")
    container = _container(path) or _container(path, fflags="+ignidx")
    if container is None:
        raise UnreadableVideo("not a video that can be opened; is it a video, and whole?")
    try:
        yield container
    finally:
        container.close()


def _container(path: Path, **options: str) -> InputContainer | None:
    """Opens a file; without its index, also one whose writing was interrupted within a fragment."""
    try:
        # FFmpeg would take a name such as `a:b.mp4` or `-.mp4` for something else.
        return av.open(f"file:{path.resolve()}", options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError):
        return None


def _real_streams(path: Path, container: InputContainer) -> list[VideoStream]:
    """The streams of pictures that are no covers and thumbnails."""
    streams = [s for s in container.streams.video if not s.disposition & _NO_VIDEO]
    if len(streams) < 2:
        return streams
    # Matroska forgets that a stream is a cover.
    with _opened(path) as again:
        counts = {stream.index: 0 for stream in streams}
        for looked_at, packet in enumerate(again.demux([again.streams[i] for i in counts])):
            counts[packet.stream_index] += packet.size > 0
            if min(counts.values()) > 1 or looked_at > _PACKETS_LOOKED_AT:
                break
    return [s for s in streams if counts[s.index] > 1] or streams


def _chosen(
    streams: Sequence[VideoStream], container: InputContainer, wanted: int | None
) -> VideoStream:
    if wanted is not None:
        for stream in container.streams.video:
            if stream.index == wanted:
                return stream
        there = ", ".join(map(describe, container.streams.video)) or "none"
        raise UnreadableVideo(f"has no stream of pictures {wanted}; there are: {there}")
    if not streams:
        single = "but a single picture" if container.streams.video else "and no picture"
        raise UnreadableVideo(f"holds no video, {single}")
    return max(streams, key=_pixels)


def _pixels(stream: VideoStream) -> int:
    # Without a decoder, its size is not known.
    return 0 if stream.codec_context is None else stream.width * stream.height
