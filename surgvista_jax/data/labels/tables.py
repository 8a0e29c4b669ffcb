"""Text tables of label files, with every fault named by file and line."""

import codecs
import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

from surgvista_jax.counted import counted
from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near
from surgvista_jax.facts.whole_numbers import whole

Number = TypeVar("Number", int, float)
HIGHEST = 1e12  # no frame and no second has a higher number
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*,[0-9]+(e[-+]?[0-9]+)?", re.IGNORECASE)
_SHOWN = 60  # characters of a wrong cell


def read_text(path: Path) -> str:
    """The text of a label file: UTF-8 or, with its mark, UTF-16; lines end in "\\n".

    Raises:
        UserError: it is missing, may not be read or is not text.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: missing; it must hold the labels") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    return decoded(data, path)


def decoded(data: bytes, path: object) -> str:
    """As `read_text`, of what a file holds; `path` names it.

    Raises:
        UserError: it is not text.
    """
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: not {'UTF-16' if wide else 'UTF-8'} text (byte {error.start}); "
            "save it as UTF-8"
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:  # no name has one; damaged, or UTF-16 without its mark
        line = text[: text.index("\0")].count("\n") + 1
        raise UserError(f"{path}, line {line}: not text (it holds a NUL); save it as UTF-8")
    return text


def unguarded(text: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from running what begins as a formula.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return text[1:] if re.match(r"''*[=+\-@]", text) else text


def version(path: Path) -> tuple[int, int]:
    """What changes when a file does: part of the key where the content of files is remembered."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


@dataclass(frozen=True)
class Row:
    """A line of a table with a header.

    Attributes:
        where: file and line.
        cells: column -> text.
        decimal_comma: whether 2,5 is a number: commas do not separate the cells.
    """

    where: str
    cells: dict[str, str]
    decimal_comma: bool = False

    @overload
    def number(self, column: str) -> float: ...

    @overload
    def number(self, column: str, kind: type[Number]) -> Number: ...

    def number(self, column: str, kind: type = float) -> float:
        """The number in a column; a whole one may be written as 3.0.

        Raises:
            UserError: it holds none.
        """
        text = self.cells[column].strip()
        said = f"{self.where}: column {column!r}: {text[:_SHOWN]!r}"
        point = text
        if _DECIMAL_COMMA.fullmatch(text):
            point = text.replace(",", ".")
            if not self.decimal_comma:
                raise UserError(f"{said} is not a number; write {point}")
        value = float(point) if _NUMBER.fullmatch(point) else math.nan
        if math.isfinite(value) and kind is float:
            return value
        if abs(value) < HIGHEST and value == int(value):
            return kind(value)
        raise UserError(f"{said} is not {'a whole number' if kind is int else 'a number'}")


def read_rows(path: Path, columns: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a CSV file with a header, separated by `,`, `;` or tabs.

    Raises:
        UserError: a column is missing or there twice, a line has another number of cells, a
            quotation mark is not closed in its line.
    """
    text, first, separator = _layout(read_text(path))
    filled = _cells(path, text, first, separator)
    begins, header = next(filled, (1, []))
    header = [name.strip() for name in header]
    while header and not header[-1]:  # spreadsheets write empty columns
        header.pop()
    if missing := [name for name in columns if name not in header]:
        raise UserError(
            f"{path}, line {begins}: no column {missing[0]!r}{near(missing[0], header)}; the"
            f" header must name {', '.join(columns)}"
            + f", it names {', '.join(header) or 'nothing'}"
        )
    if twice := [name for number, name in enumerate(header) if name in header[:number]]:
        raise UserError(
            f"{path}, line {begins}: column {twice[0]!r} is there twice; name each once"
        )
    for number, cells in filled:
        where = f"{path}, line {number}"
        if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
            hint = "; is a comma in a number? write 2.5" if separator == "," else ""
            hint = hint if len(cells) > len(header) else ""
            raise UserError(
                f"{where}: {counted(len(cells), 'cell')}, the header has {len(header)}{hint}"
            )
        yield Row(where, dict(zip(header, cells, strict=False)), separator != ",")


def read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number and the cells of each line of a CSV file that need not have a header.

    Raises:
        UserError: as `read_rows`.
    """
    text, first, separator = _layout(read_text(path))
    return _cells(path, text, first, separator)


def _layout(text: str) -> tuple[str, int, str]:
    """A table without what stands before its header, the number of its first line, the separator.

    The separator is that which occurs most in the header, unless a spreadsheet's own line says it.
    """
    blank = re.match(r"(?:[ \t,;]*\n)*", text)
    first = 1 + (text[: blank.end()].count("\n") if blank else 0)
    text = text[blank.end() :] if blank else text
    if told := re.match(r"sep=([,;\t])\n", text):
        return text[told.end() :], first + 1, told[1]
    return text, first, max(",;\t", key=text.split("\n", 1)[0].count)


def _cells(path: Path, text: str, first: int, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The number of each line that is not empty, the first one being `first`, and its cells."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    while True:
        number = lines.line_num + first
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            # A cell that is too long is mostly one whose quotation mark was never closed.
            opened = '; is a quotation mark (") not closed?' if '"' in text else ""
            raise UserError(f"{path}, line {number}: not CSV ({error}){opened}") from None
        if lines.line_num + first > number + 1:
            raise UserError(
                f'{path}, line {number}: a quotation mark (") opens in it that is not closed there'
            )
        if any(cell.strip() for cell in cells):
            yield number, cells


def class_number(text: str, where: str, what: str, count: int) -> int:
    """The number of one of so many classes, called `what`. Raises UserError for any other text."""
    number = whole(text)
    if number is None or not 0 <= number < count:
        raise UserError(f"{where}: {what} {text[:40]!r} is not a number from 0 to {count - 1}")
    return number


def read_frame_table(
    path: Path,
    fps: float,
    parse: Callable[[str, str], Label],
    *,
    first: int | None = None,
) -> FrameLabels:
    """Reads lines `FRAME LABEL`, separated by a tab, a comma, a semicolon or blanks.

    A first line that does not begin with a number is a header; of two labels of one frame the later
    counts. A file with one line a second is recognised where its numbers are those of frames (0,
    25, 50 …); where they are those of seconds, the length of the video tells it later.

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
    header_may_come = True
    for line_number, line in enumerate(read_text(path).split("\n"), start=1):
        line = line.strip()
        if not line:
            continue
        is_first, header_may_come = header_may_come, False
        where = f"{path}, line {line_number}"
        cells = re.split(r"\s*[\t,;]\s*|\s+", line, maxsplit=1)
        if not re.fullmatch(r"[+-]?\d{1,12}(\.0*)?", cells[0]):
            if is_first:
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
    if first is None or lowest < first:
        if first is not None:
            notes.append(f"frames are numbered from {lowest}, where {first} is usual")
        first = 1 if lowest == 1 else 0
    if first:
        notes.append(f"frames are numbered from {first}; counted from 0 now")
        labels = {number - first: label for number, label in labels.items()}
    elif lowest:
        notes.append(f"its first line is of frame {lowest}, not of 0: none before has a label")
    numbers = sorted(labels)
    every = 1
    if len(numbers) > 2 and fps > 1 and fps == int(fps) and math.gcd(*numbers) % fps == 0:
        every = int(fps)
        notes.append(f"has one line a second (0, {every}, {2 * every} …), not {every}")
    step = numbers[1] - numbers[0] if len(numbers) > 1 and every == 1 else every
    missing = (numbers[-1] - numbers[0]) // step + 1 - len(labels)
    if missing > 0:
        notes.append(f"{missing} frames between the first and the last have no line: unlabelled")
    if repeated:
        notes.append(f"{repeated} frames have several lines; the last one counts")
    may_be_seconds = every == 1 and fps > 1 and fps == int(fps)
    return FrameLabels(labels, fps, tuple(notes), every, may_be_seconds, holds=True)
