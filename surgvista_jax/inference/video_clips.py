"""The clips of a video file, one by one, at the rate that a model was trained on."""

import collections
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig, clip_frame_ids
from surgvista_jax.data.conversion.frame_readers import FileReader
from surgvista_jax.data.rates import ROUNDING
from surgvista_jax.data.storage.video_stream import UnreadableVideo, VideoOptions
from surgvista_jax.errors import UserError


def clips_of_video(path: Path, clip: ClipConfig, fps: float) -> Iterator[np.ndarray]:
    """Yields for each frame of a video the clip that ends there, decoding the file once.

    Frames are those that `surgvista data convert videos` and `predict` extract, before they keep
    them as JPEG. As many are held as a clip spans.

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
    try:
        reader = FileReader(path, VideoOptions(), threads=os.cpu_count() or 1)
    except UnreadableVideo as error:
        raise UserError(f"{path}: {error}") from None
    if reader.fps < fps * (1 - ROUNDING):
        raise UserError(
            f"{path}: has {reader.fps:g} frames a second, where the model was trained on {fps:g}"
        )
    return _clips(path, reader, clip, fps)


def _clips(path: Path, reader: FileReader, clip: ClipConfig, fps: float) -> Iterator[np.ndarray]:
    span = clip.stride * (clip.num_frames - 1) + 1
    held: collections.deque[np.ndarray] = collections.deque(maxlen=span)
    for number, frame in enumerate(reader.frames(fps)):
        small = cv2.resize(frame, (clip.size,) * 2, interpolation=cv2.INTER_LINEAR)
        held.append(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
        first = number - len(held) + 1
        yield np.stack(
            [held[k - first] for k in clip_frame_ids(number, clip.num_frames, clip.stride)]
        )
    if problems := reader.problems():
        raise UserError(f"{path}: {'; '.join(problems)}")
