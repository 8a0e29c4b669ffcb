"""Where a run's numbers and pictures go: metrics.jsonl, TensorBoard events, figures/."""

import contextlib
import io
import json
import math
import os
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from surgvista_jax.image_files import png
from surgvista_jax.json_lines import keep_lines, lacks_step
from surgvista_jax.writing import write_bytes, writing_to

METRICS_FILE = "metrics.jsonl"
EVALUATIONS_FILE = "evaluations.jsonl"
FIGURES = "figures"


class MetricWriter:
    """Writes to a run folder; a context manager.

    Every number is on disk when the call returns, and a full disk raises there. (tensorboardX's own
    writer hands over to a thread, and blocks for ever once a full disk has ended that.)

    Args:
        folder: the run's folder.
        active: whether this process writes; the others' calls do nothing.
        step: the step that the run starts from; what an earlier start wrote beyond it is dropped,
            so that each step is there once. The last line of it is in the attribute `dropped`.
    """

    def __init__(self, folder: str | Path, active: bool, step: int = 0):
        self.folder = Path(folder)
        self.active = active
        self.dropped: dict | None = None
        if not active:
            return
        self._metrics_path = self.folder / METRICS_FILE
        with writing_to(self.folder):
            (self.folder / FIGURES).mkdir(parents=True, exist_ok=True)
            self.dropped = drop_lines_after(self._metrics_path, step)
            self._metrics = self._metrics_path.open("ab", buffering=0)
            # TensorBoard reads the event files of a folder in the order of their names.
            self._events = (self.folder / f"events.out.tfevents.{time.time_ns()}").open("xb")
            self._write_event(file_version="brain.Event:2")
            start = SessionLog(status=SessionLog.START)  # hides an earlier start's later points
            self._write_event(step=step + 1, session_log=start)

    def scalars(self, step: int, values: Mapping[str, float | int | None]) -> None:
        """A point in each TensorBoard curve, and then one line of metrics.jsonl, whole or not.

        Not-a-number, infinity and None are `null` in the line and left out of the curve. After an
        error the line is not there: it can be written later.
        """
        if not self.active:
            return
        numbers = {name: _finite(value) for name, value in values.items()}
        self.curve(step, numbers)
        line = json.dumps({"step": step, **numbers}, allow_nan=False) + "\n"
        with writing_to(self._metrics_path):
            _append_whole(self._metrics, line.encode())

    def curve(self, step: int, values: Mapping[str, float | int | None]) -> None:
        """A point in each TensorBoard curve alone, for values that have a file of their own."""
        if not self.active:
            return
        points = [
            point
            for name, value in values.items()
            if _finite(value) is not None
            for point in summary.scalar(name, value).value
        ]
        with writing_to(self.folder):
            self._write_event(step=step, summary=summary.Summary(value=points))

    def image(self, step: int, tag: str, image: np.ndarray) -> Path | None:
        """A picture, uint8 RGB [H, W, 3], under TensorBoard and as figures/<tag>_<step>.png.

        Returns the PNG file's path; None if this process does not write.
        """
        if not self.active:
            return None
        path = self.folder / FIGURES / f"{tag.replace('/', '_')}_{step:08d}.png"
        picture = summary.image(tag, image, dataformats="HWC")
        write_bytes(path, png(image))
        with writing_to(self.folder):
            self._write_event(step=step, summary=picture)
        return path

    def close(self) -> None:
        """Closes the files."""
        if not self.active:
            return
        self.active = False
        for file in (self._metrics, self._events):
            # All is flushed, so this fails only over what has been raised before.
            with contextlib.suppress(OSError):
                file.close()

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write_event(self, **fields: Any) -> None:
        """One record of a TFRecord file: length, its checksum, the event, its checksum."""
        event = Event(wall_time=time.time(), **fields).SerializeToString()
        length = struct.pack("<Q", len(event))
        for part in (length, event):
            self._events.write(part + struct.pack("<I", masked_crc32c(part)))
        self._events.flush()


def _append_whole(file: io.FileIO, data: bytes) -> None:
    size = os.fstat(file.fileno()).st_size
    try:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
    except OSError:
        with contextlib.suppress(OSError):
            file.truncate(size)
        raise


def drop_lines_after(
    path: Path, step: int, required: Callable[[dict], str | None] = lacks_step
) -> dict | None:
    """Keeps the lines of a .jsonl file whose "step" is at most `step`; all at once or not at all.

    A last line that was cut off, as a kill in mid-write leaves it, goes too, with a note.

    Returns:
        The last of those that went, but for one that was cut off; None where none did.

    Raises:
        UserError: another line is broken: its number, and what is to be done.
    """
    dropped = None

    def keep(values: dict) -> bool:
        nonlocal dropped
        if values["step"] > step:
            dropped = values
        return values["step"] <= step

    keep_lines(path, keep, required=required)
    return dropped


def _finite(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None
