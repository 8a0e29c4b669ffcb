"""Reading JSON that others may have written: the value, or one line that says what there is."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError


def read_object(path: str | os.PathLike, *, unique: bool = False) -> dict[str, Any]:
    """A JSON file that holds one object.

    Args:
        path: the file, UTF-8.
        unique: a key that stands twice is refused; else the last one counts.

    Raises:
        UserError: the file cannot be read, is not JSON, or holds something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error})") from None
    return parse_object(text, path, unique=unique)


def parse_object(text: str, where: object, *, unique: bool = False) -> dict[str, Any]:
    """As `read_object`, of a text; `where` says for messages where it stands."""
    try:
        values = parse(text, each_once if unique else None)
    except ValueError as error:
        raise UserError(f"{where}: is not JSON ({error})") from None
    if not isinstance(values, dict):
        raise UserError(f"{where}: should hold a JSON object")
    return values


def each_once(found: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values, for `parse`.

    Raises:
        ValueError: a key stands twice.
    """
    values = dict(found)
    if len(values) < len(found):
        names = [name for name, _ in found]
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return values


def parse(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a JSON text.

    Args:
        text: the text.
        pairs: makes the value of an object.

    Raises:
        ValueError: one line: it is not JSON, its numbers are too long or its lists too deep to be
            read, or a text in it cannot be written again (half of a pair of UTF-16).
    """
    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, " if "\n" in text.strip() else ""
        raise ValueError(f"{error.msg} at {at}column {error.colno}") from None
    except RecursionError:
        raise ValueError("it nests too deep") from None
    except ValueError as error:  # Python refuses to make numbers of more than some thousand digits
        if "digits" in str(error):
            raise ValueError("a number in it has too many digits") from None
        raise
    if "\\ud" in text.lower() and _has_half_character(value):
        raise ValueError("a text in it holds half a character (\\ud800 to \\udfff alone)")
    return value


def _has_half_character(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
