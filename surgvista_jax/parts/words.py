"""What tells a command from others, wherever and however often it is started?"""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Options that change nothing that is written, or say where, beside which the words lie; the program
# adds when it began.
_HOW = {"overwrite", "workers", "json", "part", "began"}
_WHERE = {"out", "folder", "html"}
# Text that is a place, which may stand behind a name: `[NAME:]WEIGHTS`. All other text is what it
# says, even where something of that name lies in the current folder.
_NAMED_PLACES = {"init", "checkpoint", "backbone", "transitions"}
_PATH = "path"  # the key of a path among the options as JSON holds them


def words_of(arguments: argparse.Namespace, files: Sequence[str]) -> dict[str, Any]:
    """The options as they were given, of files and folders with their state.

    Args:
        arguments: of a command.
        files: names of the files by which a folder is seen to be another than before.
    """
    return {
        key: _said(key, value, files)
        for key, value in _given(arguments)
        if key not in _HOW | _WHERE
    }


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options as JSON holds them, with which `arguments_of` starts the command elsewhere."""
    return {key: _kept(key, value) for key, value in _given(arguments) if key != "part"}


def arguments_of(options: dict[str, Any]) -> argparse.Namespace:
    """The inverse of `options_of`."""
    return argparse.Namespace(**{key: _value(value) for key, value in options.items()})


def _given(arguments: argparse.Namespace) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in vars(arguments).items() if not callable(value)]


def _said(key: str, value: Any, files: Sequence[str]) -> Any:
    """An option's value as JSON holds it; of files and folders the whole path, and their state."""
    if isinstance(value, list):
        return [_said(key, each, files) for each in value]
    if not isinstance(value, Path) and key not in _NAMED_PLACES:
        return str(value)
    text = os.path.abspath(value) if isinstance(value, Path) else str(value)
    name, colon, path = _parted(text)
    if not os.path.lexists(path):
        return text
    return name + colon + os.path.abspath(path) + "".join(_stamps(Path(path), files))


def _parted(text: str) -> tuple[str, str, str]:
    """`[NAME:]PATH` as the name, the colon and the path."""
    return ("", "", text) if os.path.lexists(text) else text.rpartition(":")


def _stamps(path: Path, files: Sequence[str]) -> Iterator[str]:
    """What tells whether a file, or a dataset that lies in a folder, is what it was."""
    for file in (path, *(path / name for name in files)):
        if file.is_file():
            status = file.stat()
            yield f" ({status.st_size} bytes of {status.st_mtime_ns})"


def _kept(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_kept(key, each) for each in value]
    if isinstance(value, Path):
        return {_PATH: os.path.abspath(value)}
    if key in _NAMED_PLACES and isinstance(value, str):
        name, colon, path = _parted(value)
        return name + colon + os.path.abspath(path) if os.path.lexists(path) else value
    return value


def _value(kept: Any) -> Any:
    if isinstance(kept, list):
        return [_value(each) for each in kept]
    return Path(kept[_PATH]) if isinstance(kept, dict) else kept
