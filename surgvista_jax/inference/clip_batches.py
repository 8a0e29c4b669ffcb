"""Batches of the clips of videos that are decoded meanwhile, each frame once."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig, uniform_frame_ids
from surgvista_jax.data.batches.crop import resize_clip
from surgvista_jax.data.batches.past_frames import PastFrames
from surgvista_jax.data.conversion.extract import ExtractConfig, Extracted
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.conversion.streaming import Again, Event, Opened, Reading, stream
from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.storage.video_stream import UnreadableVideo
from surgvista_jax.data.workers import Crash
from surgvista_jax.errors import UserError

# Frames a second that are this much alike (relatively) are the same rate: a clip spans the time
# that it should. The moments of a video stand at their own times all the same.
SAME_RATE = 0.02


def check_rate(name: str, fps: float, wanted: float) -> None:
    """Raises UserError for frames that come slower than a model needs them."""
    if fps < wanted * (1 - SAME_RATE):
        raise UserError(
            f"{name}: has {fps:g} frames a second, where the model was trained on {wanted:g}"
        )


def resize_frame(size: int, frame: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 -> [size, size, 3], as frames of evaluation batches are."""
    out = np.empty((1, size, size, 3), np.uint8)
    resize_clip(frame[None], out)
    return out[0]


def open_batches(
    sources: Sequence[SourceVideo],
    config: ExtractConfig,
    clip: ClipConfig,
    batch_size: int,
    threads: int | None = None,
) -> "ClipBatches":
    """The batches of videos that processes of their own decode, to be closed.

    Args:
        sources: files and folders of frames.
        config: rate and size of their frames, as `data convert` would keep them.
        clip: what a clip is.
        batch_size: clips at a time.
        threads: that decode; None: as many as there are cores.
    """
    return ClipBatches(stream(sources, clip_reading(config, clip), threads), clip, batch_size)


def clip_reading(config: ExtractConfig, clip: ClipConfig) -> Reading:
    """How videos are read for their clips."""
    choose = None
    if clip.sampling == "uniform":
        choose = functools.partial(uniform_frame_ids, num_frames=clip.num_frames)
    fit = functools.partial(resize_frame, clip.size)
    return Reading(config, fit, choose, slowest=config.fps * (1 - SAME_RATE))


class Events(Iterable[tuple[int, Event]], Protocol):
    """What `stream` gives."""

    def close(self) -> None: ...


@dataclasses.dataclass
class Read:
    """What was read of a video.

    Attributes:
        fps: rate of its frames; None: it could not be opened.
        num_frames: how many there were.
        end: what came of it; not `Extracted` where it ended too early.
    """

    fps: float | None = None
    num_frames: int = 0
    end: Extracted | UnreadableVideo | Crash | None = None


@dataclasses.dataclass
class ClipBatches(Iterator[dict[str, np.ndarray]]):
    """Batches with the keys of `evaluation_batches`, in which each frame ends a clip.

    Clips of two videos may share a batch. No frame is remembered longer than a clip looks back.

    Attributes:
        events: of the videos, one after the other.
        clip: what a clip is; with sampling "uniform" a video is one, of all frames that are given.
        batch_size: clips at a time; the last batch is padded.
        read: number of a video -> what was read of it; complete once a batch with clips of a later
            video was given.
    """

    events: Events
    clip: ClipConfig
    batch_size: int
    read: dict[int, Read] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self._batches = self._made()
        self._whole = self.clip.sampling == "uniform"
        # Of a whole video the frames of its clip are given, one after the other.
        self._looks_back = dataclasses.replace(self.clip, stride=1) if self._whole else self.clip

    def __next__(self) -> dict[str, np.ndarray]:
        return next(self._batches)

    def close(self) -> None:
        """Ends the processes; whoever waits for a batch gets no more."""
        self.events.close()

    def _made(self) -> Iterator[dict[str, np.ndarray]]:
        batch, row = blank_batch(self.clip, self.batch_size), 0
        for number, frame, clip in self._clips():
            clip.write(batch["video"][row])
            batch["video_index"][row], batch["frame"][row], batch["weight"][row] = number, frame, 1
            row += 1
            if row == self.batch_size:
                yield batch
                batch, row = blank_batch(self.clip, self.batch_size), 0
        if row:
            batch["video"][row:] = 0
            yield batch

    def _clips(self) -> Iterator[tuple[int, int, PastFrames]]:
        """Yields (video, frame, what writes the clip that ends there)."""
        past, newest = PastFrames(self._looks_back), np.empty(0, np.uint8)
        for number, event in self.events:
            read = self.read.setdefault(number, Read())
            if isinstance(event, Opened):
                read.fps = event.fps
                past = PastFrames(self._looks_back)
            elif isinstance(event, np.ndarray | Again):
                newest = event if isinstance(event, np.ndarray) else newest
                past.push(newest)
                read.num_frames += 1
                if not self._whole:
                    yield number, read.num_frames - 1, past
            else:
                read.end = event
                if self._whole and isinstance(event, Extracted):
                    read.num_frames = event.num_frames
                    yield number, read.num_frames - 1, past


def blank_batch(clip: ClipConfig, rows: int) -> dict[str, np.ndarray]:
    """A batch without clips, whose pixels are still to be written."""
    return {
        "video": np.empty((rows, clip.num_frames, clip.size, clip.size, 3), np.uint8),
        "label": np.full(rows, UNLABELLED, np.int32),
        "video_index": np.full(rows, -1, np.int32),
        "frame": np.full(rows, -1, np.int32),
        "weight": np.zeros(rows, np.float32),
        "unreadable": np.zeros((rows, clip.num_frames), bool),
    }
