"""Reading files of JSON lines: each line an object, or one line that says which is broken."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.writing import replacing, writing_to

_DELETE = "mend or delete that line"


class Line(NamedTuple):
    """One line of a file.

    Attributes:
        number: from 1 on.
        values: its object.
        text: as it stands in the file, without its end.
        end: bytes of the file up to its end.
    """

    number: int
    values: dict[str, Any]
    text: str
    end: int


def read_lines(
    path: str | os.PathLike,
    *,
    required: Callable[[dict[str, Any]], str | None] = lambda values: None,
    advice: str = _DELETE,
    torn: Callable[[str], None] | None = None,
) -> Iterator[Line]:
    """The lines of a .jsonl file, one after the other; blank ones are passed over.

    Args:
        path: the file, UTF-8. Lines end at "\\n" alone: a JSON text may hold other line breaks.
        required: what a line lacks, in words; None where it is as it should be.
        advice: what is to be done about a broken line.
        torn: of a file that grows line by line: takes the note that its last line was broken, as
            a kill or a full disk leaves it, and was passed over. Without it the last line is as
            any other.

    Raises:
        UserError: naming the file, and the line that is broken; the file cannot be read.
    """
    broken, end = None, 0
    try:
        with open(path, "rb") as file:
            for number, data in enumerate(file, start=1):
                end += len(data)
                if not data.strip():
                    continue
                if broken is not None:
                    break
                try:
                    text = data.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
                    values = _object(text)
                    if lacks := required(values):
                        raise ValueError(lacks)
                except ValueError as error:
                    broken = f"{path}, line {number}: {_in_words(error)}"
                    if torn is None:
                        break
                else:
                    yield Line(number, values, text, end)
            else:
                if broken is not None and torn is not None:
                    torn(f"{broken}; it is the last, was cut off in writing, and is left out")
                return
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    raise UserError(f"{broken}; {advice}")


def say_torn(note: str) -> None:
    """Shows the note of a last line that was left out."""
    print(note, file=sys.stderr)


def keep_lines(
    path: str | os.PathLike,
    keep: Callable[[dict[str, Any]], bool] = lambda values: True,
    *,
    required: Callable[[dict[str, Any]], str | None] = lambda values: None,
    torn: Callable[[str], None] = say_torn,
) -> list[dict[str, Any]]:
    """Makes a file that grows line by line ready for its next one; all at once or not at all.

    Lines that `keep` refuses go, and a last one that was cut off; the others stay as they are.

    Returns:
        The lines that are kept; [] where there is no file.

    Raises:
        UserError: as `read_lines`; the file cannot be written.
    """
    if not Path(path).exists():
        return []
    kept = [line for line in read_lines(path, required=required, torn=torn) if keep(line.values)]
    whole = "".join(f"{line.text}\n" for line in kept).encode()
    with writing_to(path):
        as_it_is = Path(path).read_bytes() == whole
    if not as_it_is:
        with replacing(path) as aside:
            aside.write_bytes(whole)
    return [line.values for line in kept]


def lacks_step(values: dict[str, Any]) -> str | None:
    """`required` for lines that have the number of a step."""
    step = values.get("step")
    whole = isinstance(step, int) and not isinstance(step, bool)
    return None if whole else "'step' should be a whole number"


def _object(text: str) -> dict[str, Any]:
    values = parse(text)
    if not isinstance(values, dict):
        raise ValueError("must be a JSON object {...}")
    return values


def _in_words(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text (byte {error.start})"
    text = str(error)
    return text if text.startswith(("'", "must")) else f"not JSON: {text}"
