"""Names from files (of classes, videos, models, paths) where a report writes them."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.errors import UserError

_MARKDOWN = re.compile(r"([\\`*_\[\]#~|])")
_CLOSING = re.compile(r"(?<! )>|>(?! )")  # not the arrow of "a > b"


def visible(name: str) -> str:
    """The name on one line: what steers a terminal or begins a line is written out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def in_markdown(name: str) -> str:
    """A name as text of Markdown and of the HTML that it becomes, never as markup."""
    entities = visible(name).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\1", _CLOSING.sub("&gt;", entities))


def names_of_systems(systems: Sequence[Sequence[str]]) -> list[str]:
    """What tells the systems of a comparison apart, from the paths of each one's files.

    Of several files of one system the names, else their folders' names, else the whole paths; where
    systems would share a name, as many of the last parts of their paths as make them differ.

    Raises:
        UserError: a file or folder is given twice.
    """
    _check_once([path for paths in systems for path in paths])
    names = [_name_of(paths) for paths in systems]
    whole = [[Path(os.path.abspath(path)).parts for path in paths] for paths in systems]
    for depth in range(1, 1 + max(len(parts) for paths in whole for parts in paths)):
        shared = {name for name in names if names.count(name) > 1}
        if not shared:
            break
        for k, paths in enumerate(whole):
            if names[k] in shared:
                names[k] = " + ".join(os.path.join(*parts[-depth:]) for parts in paths)
    return names


def _name_of(paths: Sequence[str]) -> str:
    files = [Path(path).name for path in paths]
    folders = [Path(path).absolute().parent.name for path in paths]
    different = (names for names in (files, folders) if len(set(names)) == len(names))
    return " + ".join(next(different, paths))


def _check_once(paths: Sequence[str]) -> None:
    found: dict[str, str] = {}
    for path in paths:
        place = os.path.realpath(path)
        if place in found:
            also = "" if found[place] == path else f" ({found[place]} is the same)"
            raise UserError(f"{path}: given twice{also}; every run is a file of its own")
        found[place] = path
