"""Text tables of label files, with every fault named by file and line."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.errors import UserError

Number = TypeVar("Number", int, float)


def read_text(path: Path) -> str:
    """The text of a label file, with or without a byte-order mark.

    Raises:
        UserError: it is missing, may not be read or is not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: missing; it must hold the labels") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def version(path: Path) -> tuple[int, int]:
    """What changes when a file does: part of the key where the content of files is remembered."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


@dataclass(frozen=True)
class Row:
    """A line of a table with a header; `where` names file and line."""

    where: str
    cells: dict[str, str]

    @overload
    def number(self, column: str) -> float: ...

    @overload
    def number(self, column: str, kind: type[Number]) -> Number: ...

    def number(self, column: str, kind: type = float) -> float:
        """The number in a column.

        Raises:
            UserError: it holds none.
        """
        text = self.cells[column].strip()
        try:
            return kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise UserError(f"{self.where}: column {column!r}: {text!r} is not {wanted}") from None


def read_rows(path: Path, columns: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a CSV file with a header, separated by `,`, `;` or tabs.

    Raises:
        UserError: a column is missing, or a line has another number of cells.
    """
    text = read_text(path)
    header_line = text.split("\n", 1)[0]
    separator = max(",;\t", key=header_line.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    header = [name.strip() for name in next(lines, [])]
    missing = [name for name in columns if name not in header]
    if missing:
        raise UserError(
            f"{path}, line 1: no column {missing[0]!r}; the header must name "
            + ", ".join(columns)
            + f", it names {', '.join(header) or 'nothing'}"
        )
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path}, line {lines.line_num}"
        if len(cells) != len(header):
            raise UserError(f"{where}: {len(cells)} cells, the header has {len(header)}")
        yield Row(where, dict(zip(header, cells, strict=True)))


def read_frame_table(
    path: Path,
    fps: float,
    parse: Callable[[str, str], Label],
    *,
    first: int | None = None,
) -> FrameLabels:
    """Reads lines `FRAME LABEL`, separated by a tab, a comma, a semicolon or blanks.

    A first line that does not begin with a number is a header; of two labels of one frame the later
    counts.

    Args:
        path: the file.
        fps: frame numbers a second.
        parse: text of a label and where it stands -> label; raises UserError.
        first: the number of the first frame of a video; None: 1 if the file begins with 1, else 0.

    Raises:
        UserError: naming file and line.
    """
    labels: dict[int, Label] = {}
    repeated = 0
    for line_number, line in enumerate(read_text(path).split("\n"), start=1):
        line = line.strip()
        if not line:
            continue
        where = f"{path}, line {line_number}"
        cells = re.split(r"[\t,;]|\s+", line, maxsplit=1)
        if not re.fullmatch(r"[+-]?\d+(\.0*)?", cells[0]):
            if line_number == 1:
                continue
            raise UserError(f"{where}: {cells[0]!r} is not a frame number")
        if len(cells) < 2 or not cells[1].strip():
            raise UserError(f"{where}: no label after frame {cells[0]}")
        number = int(float(cells[0]))
        if number < 0:
            raise UserError(f"{where}: frame number {number} is below 0")
        label = parse(cells[1].strip(), where)
        if number in labels:
            repeated += 1
        labels[number] = label
    if not labels:
        raise UserError(f"{path}: no label in it; lines `FRAME LABEL` are needed")
    return _from_zero(labels, fps, first, repeated)


def read_one_a_line(path: Path, fps: float, parse: Callable[[str, str], Label]) -> FrameLabels:
    """Reads one label a line, the first one for frame 0.

    Raises:
        UserError: naming file and line.
    """
    lines = read_text(path).rstrip().split("\n")
    labels = {}
    for number, line in enumerate(lines):
        where = f"{path}, line {number + 1}"
        if not line.strip():
            raise UserError(f"{where}: empty; a label a line is needed")
        labels[number] = parse(line.strip(), where)
    return FrameLabels(labels, fps)


def _from_zero(
    labels: dict[int, Label], fps: float, first: int | None, repeated: int
) -> FrameLabels:
    notes = []
    lowest = min(labels)
    if first is None:
        first = 1 if lowest == 1 else 0
    if first:
        notes.append(f"frames are numbered from {first}; counted from 0 now")
        labels = {number - first: label for number, label in labels.items() if number >= first}
    step = _step(sorted(labels)[:2])
    missing = (max(labels) - min(labels)) // step + 1 - len(labels)
    if missing > 0:
        notes.append(f"{missing} frames between the first and the last have no line: unlabelled")
    if repeated:
        notes.append(f"{repeated} frames have several lines; the last one counts")
    return FrameLabels(labels, fps, tuple(notes))


def _step(numbers: list[int]) -> int:
    return numbers[1] - numbers[0] if len(numbers) == 2 else 1
