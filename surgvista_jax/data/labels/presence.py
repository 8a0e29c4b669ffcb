"""Tables of zeros and ones that say which instruments are in the picture."""

import functools
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.data.labels.tables import Row, read_frame_table, read_rows
from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.errors import UserError

FRAME = "Frame"


def read_presence(path: Path, instruments: Sequence[str], fps: int) -> FrameLabels:
    """Reads one line a second: the number of a frame, then 0 or 1 for each instrument.

    Lines numbered 0, 1, 2 … are read as well; whether they are of seconds or of frames, the length
    of the video tells later.

    Args:
        path: a CSV file whose header names `Frame` and the instruments, in any order.
        instruments: their names in the order of their ids.
        fps: frames a second of the video, which is how far the frames of two lines are apart.

    Raises:
        UserError: naming file and line: other columns, a frame too many, too few or out of order,
            a cell that is neither 0 nor 1.
    """
    columns = (FRAME, *instruments)
    labels: dict[int, Label] = {}
    every = fps
    for row in read_rows(path, columns):
        unknown = [name for name in row.cells if name not in columns]
        if unknown:
            raise UserError(f"{path}, line 1: unknown column {unknown[0]!r}; known: {columns}")
        number = row.number(FRAME, int)
        if len(labels) == 1 and number == 1:
            every = 1
        due = every * len(labels)
        if number != due:
            raise UserError(
                f"{row.where}: frame {number}, where {due} is due; a line each {every} frames is "
                "needed, from 0"
            )
        labels[number] = tuple(k for k, name in enumerate(instruments) if _is_there(row, name))
    if not labels:
        raise UserError(f"{path}: no label in it; a line each {fps} frames is needed, from 0")
    return FrameLabels(labels, fps, every=every, may_be_seconds=every < fps)


def read_presence_lines(path: Path, num_columns: int, fps: float) -> FrameLabels:
    """Reads one line a frame, without header: its number from 0, then a 0 or 1 for each column.

    Returns:
        The columns, from 0, that are 1.

    Raises:
        UserError: naming file and line: another number of columns, a cell that is neither 0 nor 1.
    """

    @functools.lru_cache(maxsize=4096)  # a few combinations recur in every file
    def columns(text: str) -> tuple[int, ...]:
        cells = [cell.strip() for cell in text.split(",")]
        if len(cells) != num_columns:
            raise ValueError(f"{len(cells)} columns after the frame, {num_columns} are due")
        if wrong := [cell for cell in cells if cell not in ("0", "1")]:
            raise ValueError(f"{wrong[0]!r} is not 0 or 1")
        return tuple(k for k, cell in enumerate(cells) if cell == "1")

    def parse(text: str, where: str) -> Label:
        try:
            return columns(text)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None

    return read_frame_table(path, fps, parse, first=0)


def _is_there(row: Row, instrument: str) -> bool:
    text = row.cells[instrument].strip()
    if text not in ("0", "1"):
        raise UserError(f"{row.where}: column {instrument!r}: {text!r} is not 0 or 1")
    return text == "1"
