"""The clips of a video file, one by one, as `surgvista predict` makes them."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from surgvista_jax.cores import available_cores
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.conversion.extract import ExtractConfig, Extracted
from surgvista_jax.data.conversion.remarks import remarks_on
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.conversion.streaming import Job, Opened, events
from surgvista_jax.errors import UserError
from surgvista_jax.inference.clip_batches import ClipBatches, check_rate, clip_reading


def clips_of_video(path: Path, clip: ClipConfig, fps: float) -> Iterator[np.ndarray]:
    """Yields for each frame of a video the clip that ends there, decoding the file once.

    They are made as `moments.of_recordings` makes them, in this process: as many frames are held as
    a clip spans.

    Args:
        path: a video file that FFmpeg reads.
        clip: what the model sees; it looks back.
        fps: frames a second, the model's rate; frame k is what was to be seen at second k / fps.

    Yields:
        uint8 [T, size, size, 3], RGB.

    Raises:
        UserError: it cannot be read, has fewer frames a second, or breaks off; at once where it can
            be known, else after what could be read.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    source = SourceVideo(path.name, path.stem, path, is_folder=False, size=path.stat().st_size)
    reading = clip_reading(ExtractConfig(fps), clip)
    each = events(Job(source, reading, available_cores()))
    opened = next(each)
    if not isinstance(opened, Opened):
        raise UserError(f"{path}: {opened}")
    check_rate(str(path), opened.fps, fps)
    numbered = ((0, event) for event in itertools.chain([opened], each))
    return _clips(source, ClipBatches(numbered, clip, batch_size=1), fps)


def _clips(source: SourceVideo, batches: ClipBatches, fps: float) -> Iterator[np.ndarray]:
    for batch in batches:
        yield batch["video"][0]
    end = batches.read[0].end
    problems = [str(end)]
    if isinstance(end, Extracted):
        problems = [remark.text for remark in remarks_on(source, end, fps)[0]]
    if problems:
        raise UserError(f"{source.path}: {'; '.join(problems)}")
