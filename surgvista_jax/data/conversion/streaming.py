"""The frames of videos as they are decoded, by processes that read ahead and keep no file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from surgvista_jax.cores import available_cores
from surgvista_jax.data.conversion.extract import ExtractConfig, Extracted, KeptFrames
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.storage.video_stream import UnreadableVideo
from surgvista_jax.data.workers import Crash, Streams

import cv2  # isort: skip  # after PyAV's FFmpeg


class Opened(NamedTuple):
    """Begins a video whose frames can be read; `fps` is their rate."""

    fps: float


class Again(NamedTuple):
    """Stands for a frame that is the one before it."""


# A frame is uint8 RGB. A video that ends otherwise than with `Extracted` ends before its end.
Event = Opened | np.ndarray | Again | Extracted | UnreadableVideo | Crash


@dataclass(frozen=True)
class Reading:
    """How videos are read.

    Attributes:
        config: rate and size of the frames.
        fit: makes a frame, [H, W, 3] uint8 RGB, what is wanted of it; importable by name.
        choose: the wanted frames, ascending, of so many; importable by name. None: all. With it a
            video is decoded twice: how many there are is known at its end.
        slowest: a video of fewer frames a second is opened, and not decoded; others give them at
            the wanted rate, so that frame k is at second k / fps. None: a slower video gives all of
            its own.
    """

    config: ExtractConfig
    fit: Callable[[np.ndarray], np.ndarray]
    choose: Callable[[int], np.ndarray] | None = None
    slowest: float | None = None


@dataclass(frozen=True)
class Job:
    """One video and how it is read, by so many threads."""

    source: SourceVideo
    reading: Reading
    threads: int


def stream(sources: Sequence[SourceVideo], reading: Reading, threads: int | None = None) -> Streams:
    """Opens, decodes and fits videos, the next one while one is taken.

    At most one frame a process waits to be taken, beside the pictures that its decoder holds
    (`video_parts`): memory does not grow with the length of a video.

    Args:
        sources: in their order.
        reading: how they are read.
        threads: that decode, one at least; None: as many as there are cores.

    Returns:
        (number of the video, `Event`), video after video; to be closed.
    """
    threads = available_cores() if threads is None else max(1, threads)
    return Streams(_of_process, [Job(source, reading, threads) for source in sources])


def _of_process(job: Job) -> Iterator[Event]:
    cv2.setNumThreads(0)
    yield from events(job)


def events(job: Job) -> Iterator[Event]:
    """Opens, decodes and fits one video in this process, as far as events are taken."""
    reading = job.reading
    try:
        kept = KeptFrames(job.source, reading.config, job.threads, reading.slowest)
        yield Opened(kept.fps)
        if reading.slowest is not None and kept.fps < reading.slowest:
            return
        wanted = None
        if reading.choose is not None:
            wanted = reading.choose(sum(1 for _ in kept)).tolist()
        last = None
        for number, image in enumerate(kept):
            times = 1 if wanted is None else wanted.count(number)
            for _ in range(times):
                if image is last:
                    yield Again()
                else:
                    last = image
                    yield reading.fit(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        yield kept.extracted()
    except UnreadableVideo as error:
        yield error
    except cv2.error as error:
        yield UnreadableVideo(f"OpenCV fails on it: {error.err}")
    except OSError as error:
        yield UnreadableVideo(f"it cannot be read: {error.strerror}")
