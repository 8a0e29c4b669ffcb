"""A folder of made-up surgical videos with their labels.

Beside every `<video>.mp4` (codec mp4v) lies `<video>.csv` with a header and one line a frame, at
the video's own rate:

  video      the file's name without ending
  frame      0, 1, 2, ...
  second     frame / fps, three decimals
  phase      a name of PHASES
  action     a name of ACTIONS; empty where no instrument acts
  triplets   names instrument-verb-target, several triplets joined by `;`; empty for none
  cvs_two_structures, cvs_triangle_cleared, cvs_plate_dissected   0 or 1
  tools      where asked for: names of INSTRUMENTS in the picture, several joined by `;`
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from surgvista_jax.errors import UserError
from surgvista_jax.synthetic.operation import (
    ACTIONS,
    CVS_CRITERIA,
    INSTRUMENTS,
    PHASES,
    TRIPLETS,
    Operation,
)
from surgvista_jax.synthetic.plan import plan_action, plan_operation
from surgvista_jax.synthetic.render import render
from surgvista_jax.writing import CannotWrite, replacing, writing_to

COLUMNS = (
    "video",
    "frame",
    "second",
    "phase",
    "action",
    "triplets",
    *(f"cvs_{name}" for name in CVS_CRITERIA),
)
TOOL_COLUMNS = (*COLUMNS, "tools")
_FRAMES_AT_ONCE = 32


def write_videos(
    folder: Path | str,
    num_videos: int,
    seed: int,
    num_frames: int,
    fps: float,
    size: int | tuple[int, int],
    columns: Sequence[str] = COLUMNS,
    first: int = 0,
) -> list[Path]:
    """Writes whole operations `operation_00.mp4`, ... with their labels; the paths of the videos.

    Operation i is planned from seed and i together: another `num_videos` leaves the first the same.

    Args:
        columns: of the label files, some of TOOL_COLUMNS.
        first: the number of the first operation.

    Raises:
        UserError: an odd size, a rate that is not positive, too few frames, a folder that cannot be
            written.
    """
    numbers = range(first, first + num_videos)
    plans = (
        plan_operation(_seed_of(seed, i), num_frames, fps, f"operation_{i:02d}") for i in numbers
    )
    # One that waits sees how far it is; where it is quick, and in a log, nothing is said.
    shown = tqdm(plans, total=num_videos, unit="video", delay=5, leave=False, disable=None)
    return _write(Path(folder), shown, size, columns)


def write_action_clips(
    folder: Path | str,
    clips_per_action: int,
    seed: int,
    num_frames: int,
    fps: float,
    size: int | tuple[int, int],
) -> list[Path]:
    """Writes short clips `<action>_00.mp4`, ... of one action each; otherwise as `write_videos`."""
    plans = (
        plan_action(_seed_of(seed, i, action), action, num_frames, fps, f"{name}_{i:02d}")
        for action, name in enumerate(ACTIONS)
        for i in range(clips_per_action)
    )
    return _write(Path(folder), plans, size)


def label_rows(operation: Operation) -> list[dict[str, str | int]]:
    """The lines of an operation's label file, one dict a frame with the keys TOOL_COLUMNS."""
    rows = []
    for frame in range(operation.num_frames):
        action = operation.action[frame]
        triplets = ("-".join(TRIPLETS[i]) for i in np.flatnonzero(operation.triplets[frame]))
        tools = (INSTRUMENTS[i] for i in np.flatnonzero(operation.instruments[frame]))
        values = (
            operation.video,
            frame,
            f"{frame / operation.fps:.3f}",
            PHASES[operation.phase[frame]],
            ACTIONS[action] if action >= 0 else "",
            ";".join(triplets),
            *operation.cvs[frame].tolist(),
            ";".join(tools),
        )
        rows.append(dict(zip(TOOL_COLUMNS, values, strict=True)))
    return rows


def _seed_of(*entropy: int) -> int:
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def _write(
    folder: Path,
    operations: Iterable[Operation],
    size: int | tuple[int, int],
    columns: Sequence[str] = COLUMNS,
) -> list[Path]:
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for operation in operations:
        path = folder / f"{operation.video}.mp4"
        _write_video(path, operation, size)
        labels = path.with_suffix(".csv")
        with replacing(labels) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(label_rows(operation))
        paths.append(path)
    return paths


def _write_video(path: Path, operation: Operation, size: int | tuple[int, int]) -> None:
    height, width = (size, size) if isinstance(size, int) else size
    if height % 2 or width % 2:
        raise UserError(f"size {size}: should be even, or the video's codec cuts it")
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    video = cv2.VideoWriter(str(path), codec, operation.fps, (width, height))
    if not video.isOpened():
        raise CannotWrite(path, "should lie in a writable folder")
    for start in range(0, operation.num_frames, _FRAMES_AT_ONCE):
        stop = min(start + _FRAMES_AT_ONCE, operation.num_frames)
        for frame in render(operation, range(start, stop), (height, width)):
            video.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    video.release()
    if _pictures(path) != operation.num_frames:  # OpenCV says nothing of a write that failed
        raise CannotWrite(path, "its end is missing: is the disk full?")


def _pictures(path: Path) -> int:
    """How many pictures of a video can be decoded."""
    video, count = cv2.VideoCapture(str(path)), 0
    while video.grab():
        count += 1
    video.release()
    return count
