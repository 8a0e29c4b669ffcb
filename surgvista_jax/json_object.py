"""Reading JSON that should be one object: the object, or one line that says what there is."""

import json
import os
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

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(found)
        if unique and len(values) < len(found):
            names = [name for name, _ in found]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice!r} stands twice")
        return values

    try:
        values = json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise UserError(f"{where}: is not JSON that can be read (it nests too deep)") from None
    except ValueError as error:
        raise UserError(f"{where}: is not JSON ({error})") from None
    if not isinstance(values, dict):
        raise UserError(f"{where}: should hold a JSON object")
    return values
