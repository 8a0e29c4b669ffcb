"""Index files in Python's pickle format, read without running anything that is in them."""

import functools
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.checks import shortened
from surgvista_jax.data.labels.json_file import whole_numbers
from surgvista_jax.data.labels.tables import version
from surgvista_jax.data.labels.track import FrameLabels
from surgvista_jax.errors import UserError

HIGHEST = 10**9  # no frame and no class has a higher number


class _PlainUnpickler(pickle.Unpickler):
    """Makes dicts, lists, numbers and texts only: any other object could run foreign code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it holds a {module}.{name}")


def read_index(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Reads video id -> a dict for each frame.

    Raises:
        UserError: it is missing, is not a pickle, or holds other values or another structure.
    """
    try:
        index = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    except FileNotFoundError:
        raise UserError(f"{path}: missing; it must hold the labels") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:  # a broken pickle can raise nearly anything
        raise UserError(f"{path}: not a pickle of plain values: {error}") from None
    if not isinstance(index, dict):
        raise UserError(
            f"{path}: must map each video to a list of frames, is {shortened(index):.40}"
        )
    videos = {}
    for key, rows in index.items():
        video = key if isinstance(key, str) else shortened(key)
        if not isinstance(rows, list):
            what = f"{shortened(rows):.40}"
            raise UserError(f"{path}, video {video}: must be a list of frames, is {what}")
        videos[video] = rows
    if len(videos) < len(index):
        raise UserError(f"{path}: holds a video twice, once as a number and once as text")
    return videos


@functools.lru_cache(maxsize=32)
def _columns(path: Path, version: object, frame: str, label: str) -> dict[str, np.ndarray]:
    """Two columns of an index, [n, 2] a video: what is kept of a file of hundreds of megabytes."""
    columns = {}
    for video, rows in read_index(path).items():
        numbers = []
        for number, row in enumerate(rows, start=1):
            where = f"{path}, video {video}, entry {number}"
            if not isinstance(row, dict) or frame not in row or label not in row:
                raise UserError(f"{where}: needs whole numbers {frame!r} and {label!r}")
            numbers.append(whole_numbers((row[frame], row[label]), where))
            if numbers[-1][0] < 0 or max(map(abs, numbers[-1])) > HIGHEST:
                raise UserError(f"{where}: {frame} or {label} is no number of a frame or class")
        columns[video] = np.array(numbers, np.int64).reshape(-1, 2)
    return columns


def frame_labels(path: Path, video: str, frame: str, label: str, num_classes: int) -> FrameLabels:
    """The labels of one video of an index, a second each, from its columns `frame` and `label`.

    Raises:
        UserError: naming the entry, from 1, at fault.
    """
    columns = _columns(path, version(path), frame, label)
    if video not in columns:
        raise UserError(f"{path}: no video {video}")
    numbers = columns[video]
    frames, counts = np.unique(numbers[:, 0], return_counts=True)
    if len(frames) < len(numbers):
        raise UserError(f"{path}, video {video}: {frame} {frames[counts > 1][0]} occurs twice")
    wrong = np.flatnonzero((numbers[:, 1] < 0) | (numbers[:, 1] >= num_classes))
    if len(wrong):
        raise UserError(
            f"{path}, video {video}, entry {wrong[0] + 1}: {label} {numbers[wrong[0], 1]} is not "
            f"from 0 to {num_classes - 1}"
        )
    return FrameLabels(dict(numbers.tolist()), 1.0)
