"""The frames of one video in their order, at the wanted rate: of a file or a folder of images."""

import itertools
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Protocol

import numpy as np
from av.video.stream import VideoStream

from surgvista_jax.data.conversion.sources import SourceVideo, frame_files, same_number
from surgvista_jax.data.rates import HOLE, Pick, kept_index, picked
from surgvista_jax.data.storage.decode import decode_image, read_bytes
from surgvista_jax.data.storage.jpeg import is_cut_short
from surgvista_jax.data.storage.open import read_image
from surgvista_jax.data.storage.video_index import Index, needed, pictures, read_index
from surgvista_jax.data.storage.video_parts import (
    NotAlike,
    decoded_in_parts,
    divided,
    num_side_by_side,
)
from surgvista_jax.data.storage.video_pictures import Decoding, Picture, Pixels
from surgvista_jax.data.storage.video_seek import Damaged, Seeker
from surgvista_jax.data.storage.video_stream import (
    OpenVideo,
    UnreadableVideo,
    VideoOptions,
    describe,
    open_video,
)

import cv2  # isort: skip  # after `storage.decode`, which silences it

# How many times are named in one line.
_NAMED = 3
# Seconds by which uneven pictures have to be off, if they were counted, to be spoken of.
_DRIFT = 0.5
# From the quickest on: the wanted pictures, decoded in parts side by side; the file from its start,
# leaving out what is not needed; all of it.
_WAYS = ("parts", "start", "all")


class Reader(Protocol):
    """The frames of one video.

    Attributes:
        fps: its rate.
        fps_told: true if the video told it, false if the user did.
        frames_read: frames of the video that could be read so far.
        frames_promised: frames that its header promises; None where it promises nothing.
        frames_missing: how many of these the file lacks; None where that is not known.
        current: the last frame, in words.
    """

    fps: float
    fps_told: bool
    frames_promised: int | None
    frames_missing: int | None

    @property
    def frames_read(self) -> int: ...

    @property
    def current(self) -> str: ...

    def samples(self, count: int) -> Iterator[np.ndarray]:
        """Yields about `count` frames from all over the video, [H, W, 3] uint8 BGR."""

    def frames(self, fps: float) -> Iterator[np.ndarray]:
        """Yields the kept frames, [H, W, 3] uint8 BGR; a repeated one is the same object."""

    def notes(self) -> list[str]:
        """What should be known when all frames were read."""

    def problems(self) -> list[str]:
        """What could not be read."""


class FileReader:
    """Reads a video file from its start; only the kept frames are converted to pixels.

    Raises:
        UnreadableVideo: it cannot be opened, or nothing in it can be decoded.
    """

    def __init__(self, path: Path, options: VideoOptions, threads: int):
        self._path, self._options, self._threads = path, options, threads
        self._index: Index = read_index(path, options)
        self._times = self._index.times
        self.fps, self.fps_told = self._times.fps, self._times.told
        self.frames_promised = self._index.promised
        self.frames_missing: int | None = self._index.missing
        self._decoding = Decoding()
        self._wanted: Set[int] | None = None
        self._sure = False
        self._holes: dict[float, tuple[float, int]] = {}  # start -> (end, repeated frames)
        self._black = 0
        self._about: list[str] = []

    @property
    def frames_read(self) -> int:
        left_out = self._times.num_pictures - len(self._decoding.damaged)
        return self._decoding.num_decoded if self._wanted is None else left_out

    @property
    def current(self) -> str:
        return f"frame {self.frames_read - 1}"

    def samples(self, count: int) -> Iterator[np.ndarray]:
        last = self._times.num_pictures - 1
        grid = self._times.grid(self.fps, "picture")
        with Seeker(self._path, self._options, self._index) as seeker:
            for k in sorted(set(np.linspace(0, last, count).astype(int).tolist())):
                pick = seeker.pick(grid, k)
                if pick is not None and pick.picture is not None:
                    yield seeker.pixels.array(pick.picture)

    def frames(self, fps: float) -> Iterator[np.ndarray]:
        given = 0
        for way in _WAYS:
            self._reset()
            try:
                for image in itertools.islice(self._frames(fps, way), given, None):
                    given += 1
                    yield image
                if way != "parts":
                    self._look_at_end()
                return
            except NotAlike:
                pass  # what was given so far is right
            except Damaged:
                self._sure = True  # from here on where, which the quickest way may not tell

    def _look_at_end(self) -> None:
        """Notes that a file without a length breaks off; FFmpeg's threads do not always tell."""
        if self._threads > 1 and self.frames_promised is None and not self._decoding.damaged:
            with Seeker(self._path, self._options, self._index) as seeker:
                self._decoding.damaged += seeker.damaged_at_end()

    def _reset(self) -> None:
        self._decoding, self._holes, self._black, self._about = Decoding(), {}, 0, []

    def _frames(self, fps: float, way: str) -> Iterator[np.ndarray]:
        grid = self._times.grid(fps, self._options.clock)
        with open_video(self._path, self._options.stream, self._threads, self._sure) as video:
            pixels = Pixels(video.stream, self._options.deinterlace)
            shown: Picture | None = None
            image: np.ndarray | None = None
            early = 0
            codec = video.stream.codec_context.name
            self._wanted = None if way == "all" else needed(self._index, grid, codec)
            for pick in picked(self._decoded(video, way), grid):
                if pick.picture and self._wanted is not None and pixels.is_interlaced(pick.picture):
                    raise NotAlike  # its neighbours are needed
                if pick.picture is None:
                    early += 1
                    continue
                if pick.picture is not shown:
                    shown, image = pick.picture, pixels.array(pick.picture)
                if pick.gap > HOLE / fps:
                    self._note_hole(pick)
                assert image is not None
                if early:
                    black = np.zeros_like(image)
                    yield from (black for _ in range(early))
                    self._black, early = early, 0
                yield image
            if image is not None:
                self._describe(video.stream, pixels, image)
            self._about += [
                f"has several streams of pictures; {describe(video.stream)} is taken, not "
                f"{', '.join(video.others)}: --stream takes another"
            ] * bool(video.others and self._options.stream is None)

    def _decoded(self, video: OpenVideo, way: str) -> Iterator[tuple[float, Picture]]:
        if way != "parts":
            return pictures(video, self._index, self._decoding, self._wanted)
        if self._threads == 1 or self._wanted is None:
            raise NotAlike
        parts = divided(self._index, self._wanted)
        num_threads = num_side_by_side(video, parts, self._threads)
        if num_threads < 2:
            raise NotAlike
        return decoded_in_parts(self._path, self._options, self._index, parts, num_threads)

    def _note_hole(self, pick: Pick[Picture]) -> None:
        start = pick.time - self._start
        _, repeated = self._holes.get(start, (0.0, 0))
        self._holes[start] = start + pick.gap, repeated + 1

    @property
    def _start(self) -> float:
        times = self._times
        return times.start if self._options.clock == "container" else times.first

    def _describe(self, stream: VideoStream, pixels: Pixels, image: np.ndarray) -> None:
        height, width = image.shape[:2]
        if pixels.aspect != 1:
            self._about.append(
                f"its pixels are {pixels.aspect:.3g} times as wide as high; its pictures are made "
                f"{width}x{height} with square ones"
            )
        if pixels.deinterlaced:
            self._about.append(
                "is interlaced: its kept pictures are deinterlaced (FFmpeg's bwdif); --deinterlace "
                "off leaves both fields in them"
            )

    def notes(self) -> list[str]:
        times, notes = self._times, list(self._about)
        if times.counted:
            notes.append(
                f"its time stamps cannot be used ({times.counted}): its pictures are counted at "
                f"{times.fps:g} a second; --source-fps tells another rate"
            )
        if times.lead > 0.5 / times.fps:
            text = f"its pictures begin {times.lead:.3g} s after the recording, such as its sound; "
            if self._options.clock == "picture":
                text += "frames and labels count from the first picture"
            else:
                text += "frames and labels count from the start of the recording"
                if self._black:
                    text += f" (before them, black frames: {self._black})"
                text += "; --clock picture counts from the first picture"
            notes.append(text)
        if self._holes:
            repeated = sum(count for _, count in self._holes.values())
            spans = [f"{a:.2f}-{b:.2f} s" for a, (b, _) in self._holes.items()]
            notes.append(
                f"the recording has no pictures at {_listed(spans)}: {repeated} frames there "
                "repeat the last picture before"
            )
        if times.drift >= _DRIFT:
            notes.append(
                f"its pictures do not come evenly and are taken by their time stamps: labels that "
                f"count pictures at {times.fps:g} a second would be up to {times.drift:.1f} s off"
            )
        return notes

    def problems(self) -> list[str]:
        damaged = [round(second - self._start, 1) for second in self._decoding.damaged]
        places = [s for s, before in zip(damaged, [-9.0, *damaged], strict=False) if s - before > 1]
        if not places:
            return []
        where = _listed([f"{max(second, 0):.1f} s" for second in places])
        return [f"is damaged near {where}; what could be decoded there is kept"]


class FolderReader:
    """Reads the images of a folder in the order of their names.

    Raises:
        UnreadableVideo: the folder or an image cannot be read.
    """

    fps_told = False
    frames_promised: int | None = None
    frames_missing: int | None = None

    def __init__(self, source: SourceVideo, fps: float):
        try:
            self._files = frame_files(source.path, source.prefix)
        except OSError as error:
            raise UnreadableVideo(f"the folder cannot be read: {error.strerror}") from None
        if twice := same_number(self._files):
            names = " and ".join(path.name for path in twice)
            raise UnreadableVideo(f"{names} have one number; keep one of them")
        self.fps = fps
        self.frames_read = 0
        self.current = ""

    def samples(self, count: int) -> Iterator[np.ndarray]:
        for index in sorted(set(np.linspace(0, len(self._files) - 1, count).astype(int))):
            image = read_image(self._files[index], cv2.IMREAD_COLOR)
            if image is not None:
                yield image

    def frames(self, fps: float) -> Iterator[np.ndarray]:
        kept, keep_every = 0, self.fps / fps
        while (index := kept_index(kept, keep_every)) < len(self._files):
            path = self._files[index]
            self.current = path.name
            data = read_bytes(path)
            image = decode_image(data, cv2.IMREAD_COLOR)
            if data is None or image is None or is_cut_short(data):
                name = path.name
                raise UnreadableVideo(f"{name} in it cannot be read; replace it or take it out")
            kept += 1
            self.frames_read = index + 1
            yield image

    def notes(self) -> list[str]:
        return []

    def problems(self) -> list[str]:
        return []


def _listed(places: list[str]) -> str:
    more = f" and {len(places) - _NAMED} more places" if len(places) > _NAMED else ""
    return ", ".join(places[:_NAMED]) + more
