"""Label files in JSON, with every fault named by file and place."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.checks import shortened
from surgvista_jax.data.labels.tables import read_text
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import each_once, parse


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        UserError: it is missing or not JSON, or a key stands twice in an object.
    """
    try:
        return parse(read_text(path), each_once)
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from None


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
            raise UserError(f"{path}: annotations: {key[:60]!r} is not the number of a frame")
        if not isinstance(entries, list):
            raise UserError(f"{path}, frame {key}: must be a list of entries, is {entries!r:.40}")
        if int(key) in frames:
            raise UserError(f"{path}, frame {key}: stands twice, as {int(key)} too")
        frames[int(key)] = entries
    return frames


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, which true and false are not."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def whole_numbers(values: Sequence[Any], where: str) -> list[int]:
    """The values as whole numbers, which may be written as 3.0.

    Raises:
        UserError: one is none.
    """
    for value in values:
        if not is_number(value) or value != int(value):
            raise UserError(f"{where}: {shortened(value):.40} stands where a whole number is due")
    return [int(value) for value in values]
