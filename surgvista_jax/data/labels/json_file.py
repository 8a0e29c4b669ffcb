"""Label files in JSON, with every fault named by file and place."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.data.labels.tables import read_text
from surgvista_jax.errors import UserError


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        UserError: it is missing or not JSON, or a key stands twice in an object.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for number, key in enumerate(keys) if key in keys[:number])
            raise UserError(f"{path}: the key {twice!r} stands twice in one object")
        return found

    try:
        return json.loads(read_text(path), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:  # nested too deep, a number of too many digits
        raise UserError(f"{path}: not JSON that can be read: {error}") from None


def read_annotations(path: Path) -> dict[int, list[Any]]:
    """Frame -> the list of its entries, of a file `{"annotations": {frame: [entry, …]}}`.

    Raises:
        UserError: as `read_json`, or another structure; naming the frame.
    """
    held = read_json(path)
    by_frame = held.get("annotations") if isinstance(held, Mapping) else None
    if not isinstance(by_frame, Mapping):
        raise UserError(f"{path}, line 1: must hold `annotations`, by frame number")
    frames: dict[int, list[Any]] = {}
    for key, entries in by_frame.items():
        if not (key.isascii() and key.isdigit() and len(key) < 13):
            raise UserError(f"{path}: annotations: {key!r} is not the number of a frame")
        if not isinstance(entries, list):
            raise UserError(f"{path}, frame {key}: must be a list of entries, is {entries!r:.40}")
        if int(key) in frames:
            raise UserError(f"{path}, frame {key}: stands twice, as {int(key)} too")
        frames[int(key)] = entries
    return frames


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, which true and false are not."""
    return type(value) in (int, float) and math.isfinite(value)


def whole_numbers(values: Sequence[Any], where: str) -> list[int]:
    """The values as whole numbers, which may be written as 3.0.

    Raises:
        UserError: one is none.
    """
    for value in values:
        if not is_number(value) or value != int(value):
            raise UserError(f"{where}: {value!r:.40} stands where a whole number is due")
    return [int(value) for value in values]
