"""An annotated copy of a video: what a model says, drawn into its pictures, as H.264 in MP4."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from av.codec import codecs_available
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from surgvista_jax.data.storage.decode import Frames
from surgvista_jax.data.storage.video_index import pictures, read_index
from surgvista_jax.data.storage.video_pictures import Pixels
from surgvista_jax.data.storage.video_stream import UnreadableVideo, VideoOptions, open_video
from surgvista_jax.errors import UserError
from surgvista_jax.figures import caption
from surgvista_jax.figures.lettering import undrawable
from surgvista_jax.predictions.times import ends
from surgvista_jax.writing import Guard, replacing

import cv2  # isort: skip  # after PyAV's FFmpeg

# By their preference; each of them writes H.264 on the processor.
ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox")
_OPTIONS = {"libx264": {"crf": "20", "preset": "veryfast"}}
_TICK = Fraction(1, 90000)
_MOST_NAMES = 4  # classes that are named in a picture
_LIMITED = 1  # FFmpeg's number of the range of colours that is written


@dataclass(frozen=True)
class Said:
    """What a model says of a video.

    Attributes:
        seconds: [n] of the moments, ascending, from the start of the recording.
        fps: moments a second.
        values: [n, C] probabilities.
        classes: their names.
        single: one class a moment, the most probable; else all above a half.
    """

    seconds: np.ndarray
    fps: float
    values: np.ndarray
    classes: Sequence[str]
    single: bool = True

    @cached_property
    def held(self) -> np.ndarray:
        """[n, C] bool, the classes of each moment."""
        if not self.single:
            return self.values > 0.5
        return np.arange(len(self.classes)) == self.values.argmax(1)[:, None]

    @cached_property
    def ends(self) -> np.ndarray:
        """[n] until when each moment counts."""
        return ends(self.seconds, 1 / self.fps)

    def at(self, second: float) -> int | None:
        """The moment that counts then; None where there is none."""
        number = int(np.searchsorted(self.seconds, second, side="right")) - 1
        return number if number >= 0 and second < self.ends[number] else None

    def named(self, number: int) -> tuple[str, str, tuple[int, ...]]:
        """The classes of a moment in words, how probable they are, and their ids."""
        ids = [int(k) for k in np.flatnonzero(self.held[number])]
        ids.sort(key=lambda k: -self.values[number, k])
        sure = [f"{round(100 * float(self.values[number, k]))} %" for k in ids]
        if self.single:
            return self.classes[ids[0]], sure[0], tuple(ids)
        named = [f"{self.classes[k]} {s}" for k, s in zip(ids, sure, strict=True)][:_MOST_NAMES]
        more = f"+{len(ids) - _MOST_NAMES}" if len(ids) > _MOST_NAMES else ""
        return ", ".join([*named, more] if more else named) or "–", "", tuple(ids)


def encoder() -> str:
    """The name of the encoder that is used.

    Raises:
        UserError: FFmpeg has none here.
    """
    for name in ENCODERS:
        if name in codecs_available:
            return name
    raise UserError(
        f"--video: PyAV's FFmpeg has no encoder of H.264 here ({', '.join(ENCODERS)}); install "
        "PyAV's own wheels (`pip install --force-reinstall av`), or leave --video out"
    )


def undrawable_names(classes: Sequence[str]) -> str:
    """What to say of class names with characters that no font here has; "" where there is none."""
    lacking = undrawable("".join(classes))
    if not lacking:
        return ""
    return (
        f"no font here has {lacking[:20]!r} of the class names: in pictures boxes stand for them; "
        "install a font of that script"
    )


def annotate_file(
    path: Path, source: Path, said: Said, options: VideoOptions, guard: Guard | None = None
) -> None:
    """Writes a copy of a video file with its own time stamps, upright and with square pixels.

    It has no sound. A file that breaks off gives what came before. Memory does not grow with the
    length of the video.

    Raises:
        UnreadableVideo: no picture can be read.
        CannotWrite: the copy cannot be written.
    """
    index = read_index(source, options)
    grid = index.times.grid(said.fps, options.clock)
    with open_video(source, options.stream, threads=0) as video:
        pixels = Pixels(video.stream, options.deinterlace)
        rate = Fraction(index.times.fps).limit_denominator(1001)
        colours = video.stream.codec_context
        drawer = _Drawer(said)
        with replacing(path, guard) as aside, _Output(aside, rate) as output:
            output.like(colours.colorspace, colours.color_primaries, colours.color_trc)
            for time, picture in pictures(video, index):
                image = pixels.array(picture)
                # A frame is the first picture at or after its moment, by rounded time stamps.
                moment = time - grid.start + grid.tolerance
                output.write(drawer.drawn(image, moment), time - index.times.start)


def annotate_frames(
    path: Path, frames: Frames, count: int, said: Said, guard: Guard | None = None
) -> None:
    """As `annotate_file`, of a folder of frames or records at `said.fps` frames a second.

    Raises:
        UnreadableVideo, CannotWrite: likewise.
    """
    drawer = _Drawer(said)
    with (
        replacing(path, guard) as aside,
        _Output(aside, Fraction(said.fps).limit_denominator(1001)) as output,
    ):
        for number, image in enumerate(frames.images(list(range(count)))):
            if image is not None:
                image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
                output.write(drawer.drawn(image, number / said.fps), number / said.fps)


class _Drawer:
    """Draws what is said at a moment into pictures; what moments share is drawn once."""

    def __init__(self, said: Said):
        self._said = said
        self._size = (0, 0)
        self._ribbon = np.zeros((0, 0, 3), np.uint8)
        self._bar: tuple[int | None, caption.Bar | None] = (None, None)

    def drawn(self, image: np.ndarray, second: float) -> np.ndarray:
        """[H, W, 3] uint8 BGR with even sides."""
        odd = image.shape[0] % 2, image.shape[1] % 2
        image = cv2.copyMakeBorder(image, 0, odd[0], 0, odd[1], cv2.BORDER_REPLICATE)
        height, width = image.shape[:2]
        bar = caption.bar_height(height, width)
        said = self._said
        duration = float(said.ends[-1])
        if self._size != (height, width):
            self._size, self._bar = (height, width), (None, None)
            tall = max(1, bar // 3)
            self._ribbon = caption.ribbon(said.held, said.ends / duration, width, tall)
        number = said.at(second)
        if number is None:
            self._bar = None, None
        elif self._bar[0] != number:
            self._bar = number, caption.bar(*said.named(number), width, bar)
        caption.draw(image, self._bar[1], self._ribbon, min(max(second / duration, 0.0), 1.0))
        return image


class _Output:
    """An MP4 file that takes pictures one after the other."""

    def __init__(self, path: Path, rate: Fraction):
        self._container: OutputContainer = av.open(
            f"file:{path.absolute()}", "w", format="mp4", options={"movflags": "+faststart"}
        )
        name = encoder()
        stream = self._container.add_stream(name, rate=rate, options=_OPTIONS.get(name, {}))
        assert isinstance(stream, VideoStream)
        self._stream = stream
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = _TICK
        self._last = -1
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> "_Output":
        return self

    def like(self, colorspace: int, primaries: int, transfer: int) -> None:
        """Takes over by which standards the colours of a video are meant."""
        context = self._stream.codec_context
        context.colorspace, context.color_primaries = colorspace, primaries
        context.color_trc, context.color_range = transfer, _LIMITED

    def write(self, image: np.ndarray, second: float) -> None:
        """Adds a picture, [H, W, 3] uint8 BGR; all have the size of the first."""
        height, width = image.shape[:2]
        if self._size is None:
            self._size = width, height
            self._stream.width, self._stream.height = width, height
        if self._size != (width, height):
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        frame = VideoFrame.from_ndarray(image, format="bgr24")
        self._last = max(round(second / _TICK), self._last + 1)
        frame.pts, frame.time_base = self._last, _TICK
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None and self._size is not None:
                for packet in self._stream.encode(None):
                    self._container.mux(packet)
        finally:
            self._container.close()
        if kind is None and self._size is None:
            raise UnreadableVideo("no picture of it can be read")
