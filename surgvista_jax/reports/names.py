"""Names from files (of classes, videos, models, paths) where a report writes them."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.reports.study_cells import names_of_cells

_MARKDOWN = re.compile(r"([\\`*_\[\]#~|])")
_SEED = re.compile(r"(?:seed|fold|run|split)[-_ ]?[0-9]+", re.IGNORECASE)
_NUMBER = re.compile(r"[-_. ]?(?:seed|fold|run|split|s|f)?[-_ ]?[0-9]+$", re.IGNORECASE)
_SUFFIXES = (".npz", ".csv", ".tsv", ".txt", ".gz")
_USUAL = re.compile(r"(?:predictions?|preds?)(?:\.[a-z]+)*")
_MOST = 3  # names of one system
MODES = {  # of a configuration -> in words
    "full": "full finetuning",
    "linear": "linear probe",
    "attentive": "attentive probe",
    "lora": "LoRA",
    "temporal": "MS-TCN",
}
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

    A system is called by its file, or by its folder where files are called predictions; several
    files that differ in the number of a seed or fold by what they share. Where systems would share
    a name, as many of the last parts of their paths as make them differ. Cells of a study are
    called as it calls them.

    Raises:
        UserError: a file or folder is given twice.
    """
    _check_once([path for paths in systems for path in paths])
    if names := names_of_cells(systems):
        return names
    places = [_places(paths) for paths in systems]
    names = [_name_of(parts) for parts in places]
    for depth in range(1, 1 + max(len(parts) for each in places for parts in each)):
        shared = {name for name in names if names.count(name) > 1}
        for k, each in enumerate(places):
            if names[k] in shared:
                names[k] = _joined(each, depth)
    return [
        _listed(map(str, systems[k])) if names.count(name) > 1 else name
        for k, name in enumerate(names)
    ]


def with_mode(name: str, metas: Iterable[dict | None]) -> str:
    """The name of a system and how its runs were trained, as far as their files say it."""
    modes = [(meta or {}).get("mode") for meta in metas]
    words = dict.fromkeys(MODES.get(mode, mode) for mode in modes if isinstance(mode, str))
    said = " and ".join(word for word in words if word)
    return f"{name} ({said})" if said else name


def _places(paths: Sequence[str]) -> list[tuple[str, ...]]:
    """The places that a system's files have, without the seeds or folds of several files."""
    whole = [Path(os.path.abspath(path)) for path in paths]
    if len(whole) > 1 and len({path.name for path in whole}) == 1 and whole[0].suffix:
        whole = [path.parent for path in whole]  # the files are called alike: so are they not
    found = []
    for path in whole:
        parts = list(path.parts)
        if len(whole) > 1:
            parts[-1] = _NUMBER.sub("", path.stem if path.suffix in _SUFFIXES else path.name)
            parts = [part for part in parts if part and not _SEED.fullmatch(part)]
        if len(parts) > 1 and _USUAL.fullmatch(parts[-1]):
            parts.pop()
        found.append(tuple(parts))
    return list(dict.fromkeys(found))


def _name_of(places: Sequence[tuple[str, ...]]) -> str:
    """As few last parts as are different for each place; a seed alone is none."""
    deepest = max(map(len, places))
    for depth in range(1, deepest + 1):
        ends = {parts[-depth:] for parts in places}
        if len(ends) == len(places) and not any(_SEED.fullmatch(end[0]) for end in ends):
            return _joined(places, depth)
    return _joined(places, deepest)


def _joined(places: Sequence[tuple[str, ...]], depth: int) -> str:
    return _listed(os.path.join(*parts[-depth:]) for parts in places)


def _listed(names: Iterable[str]) -> str:
    first, more = [*names], ""
    if len(first) > _MOST:
        first, more = first[:_MOST], f" + {len(first) - _MOST} more"
    return " + ".join(first) + more


def _check_once(paths: Sequence[str]) -> None:
    found: dict[str, str] = {}
    for path in paths:
        place = os.path.realpath(path)
        if place in found:
            also = "" if found[place] == path else f" ({found[place]} is the same)"
            raise UserError(f"{path}: given twice{also}; every run is a file of its own")
        found[place] = path
