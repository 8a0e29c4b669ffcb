"""A video file decoded in parts side by side: the pictures that reading it from its start gives."""

import itertools
import math
import queue
from collections import deque
from collections.abc import Iterator, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.data.storage.video_index import Index
from surgvista_jax.data.storage.video_pictures import Picture
from surgvista_jax.data.storage.video_seek import Seeker
from surgvista_jax.data.storage.video_stream import OpenVideo, VideoOptions

_LEAST = 4  # wanted pictures of a part, which makes up for the jump to its key frame
_MEMORY = 2**29  # bytes of decoded pictures that may wait for their turn
_BYTES = 1.5  # of a pixel: nearly all videos halve their colours both ways


class NotAlike(Exception):
    """A part is not to be had alone as reading from the start gives it."""


@dataclass(frozen=True)
class Part:
    """Wanted pictures that are decoded together.

    Attributes:
        key: number of the key frame at which decoding begins; None: the start of the file.
        until: the second of the next part's key frame.
        wanted: time stamps of its wanted pictures.
    """

    key: int | None
    until: float
    wanted: frozenset[int]


def divided(index: Index, wanted: Set[int]) -> list[Part]:
    """Cuts a video at key frames; together the parts have each wanted picture once."""
    remaining = deque(sorted(wanted))
    parts: list[Part] = []
    begun: int | None = None
    own: list[int] = []
    for key, second in enumerate(index.keys):
        while remaining and remaining[0] < round(second / index.tick):
            own.append(remaining.popleft())
        if len(own) >= _LEAST:
            parts.append(Part(begun, float(second), frozenset(own)))
            begun, own = key, []
    return [*parts, Part(begun, math.inf, frozenset([*own, *remaining]))]


def num_side_by_side(video: OpenVideo, parts: list[Part], threads: int) -> int:
    """How many parts may be decoded at once: by cores, and by memory for what they hold."""
    size = video.stream.width * video.stream.height * _BYTES * max(len(p.wanted) for p in parts)
    return min(threads, len(parts), int(_MEMORY / max(size, 1)) - 1)


def decoded_in_parts(
    path: Path, options: VideoOptions, index: Index, parts: list[Part], num_threads: int
) -> Iterator[tuple[float, Picture]]:
    """Yields the wanted pictures with their times; they have no neighbours.

    Raises:
        NotAlike: reading from the start would give others.
        Damaged: something cannot be decoded.
        UnreadableVideo: the file cannot be opened any more.
    """
    idle: queue.SimpleQueue[Seeker] = queue.SimpleQueue()

    def decode(part: Part) -> list[tuple[float, Picture]] | None:
        seeker = idle.get()
        try:
            return seeker.part(part.key, part.until, part.wanted)
        finally:
            idle.put(seeker)

    with ExitStack() as stack:
        for _ in range(num_threads):
            idle.put(stack.enter_context(Seeker(path, options, index)))
        pool = ThreadPoolExecutor(num_threads)
        stack.callback(pool.shutdown, cancel_futures=True)
        remaining = iter(parts)
        first = itertools.islice(remaining, num_threads + 1)
        running: deque[Future] = deque(pool.submit(decode, part) for part in first)
        while running:
            found = running.popleft().result()
            if found is None:
                raise NotAlike
            running.extend(pool.submit(decode, part) for part in itertools.islice(remaining, 1))
            yield from found
