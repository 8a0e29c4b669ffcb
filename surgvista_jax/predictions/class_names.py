"""The class that a name or a number in a file means, and the order of its columns."""

import re
from collections.abc import Callable, Collection, Sequence

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import (
    is_number,
    is_unlabelled,
    near,
    same_class,
    whole_number,
)

_MOST_CLASSES = 10_000  # no vocabulary of surgery comes near


def _plain(name: str) -> str:
    """As `same_class`, and blanks, hyphens and underscores are ignored beside numbers too."""
    return re.sub(r"[\s_\-]+", "", same_class(name))


def class_ids(
    names: np.ndarray,
    classes: Sequence[str],
    source: str,
    first: int | None = None,
    where: Callable[[int], str] | None = None,
) -> np.ndarray:
    """Class ids of names or numbers, int64 [N]; -1 for texts that say that there is no label.

    Args:
        names: text [N]; all whole numbers, which may be written as 1.0, or all names.
        classes: in the order of their ids; () if they are not known.
        source: the file or folder, for messages.
        first: the number of the first class in this file, 0 or 1. None: inferred from the
            numbers; raises UserError where they could be either.
        where: the file and the line of a name, by its place in `names`; None: the source alone.
    """
    texts = np.array([str(name).strip() for name in names], str)
    distinct, at, inverse = np.unique(texts, return_index=True, return_inverse=True)
    told = {same_class(name) for name in classes}
    here = where or (lambda _: source)
    none = [is_unlabelled(name) and same_class(name) not in told for name in distinct]
    for name, place in zip(distinct, at, strict=True):
        _check_number(name, told, here(int(place)))
    ids = np.full(len(distinct), -1, np.int64)
    known = ~np.array(none, bool)
    if known.any():
        ids[known] = _known_ids(
            distinct[known], classes, first, source, [here(int(place)) for place in at[known]]
        )
    return ids[inverse.ravel()]


def _check_number(name: str, told: Collection[str], where: str) -> None:
    """Refuses numbers that are neither a class nor the mark of none.

    Raises:
        UserError: a number below -1, or one that is not whole, and no class is called so.
    """
    key = same_class(name)
    if key in told or is_unlabelled(name):
        return
    whole = whole_number(name)
    if whole is None and is_number(name):
        raise UserError(f"{where}: class {name[:40]!r} is not a whole number")
    if whole is not None and whole.startswith("-"):
        raise UserError(
            f"{where}: class {name[:40]!r} is below 0; only -1, -100, nan and an empty cell say "
            "that there is none"
        )


def _check_so_many(highest: str, source: str) -> None:
    """Raises UserError where the highest number of a class would make more than any task has.

    What is counted by class (confusions, columns) would fill the memory.
    """
    digits = highest.lstrip("0")
    if len(digits) > len(str(_MOST_CLASSES)) or int(digits or 0) >= _MOST_CLASSES:
        raise UserError(f"{source}: class {digits:.40}: no task has so many classes")


def _known_ids(
    names: np.ndarray, classes: Sequence[str], first: int | None, source: str, where: Sequence[str]
) -> np.ndarray:
    """Ids of different names that are classes, int64 [n]; `where` says of each where it stands."""
    keys = [same_class(name) for name in names]
    by_key = {same_class(name): index for index, name in enumerate(classes)}
    if all(key.isascii() and key.isdigit() for key in keys):
        if first is None and all(key in by_key for key in keys):  # classes are called by numbers
            return np.array([by_key[key] for key in keys], np.int64)
        highest = max(keys, key=lambda key: (len(key.lstrip("0")), key.lstrip("0")))
        _check_so_many(highest, source)
        ids = np.array(keys).astype(np.int64)
        if first is None:
            first = _first_number(ids, len(classes), source)
        if ids.min() < first:
            raise UserError(f"{source}: class {ids.min()}, but --first-class is {first}")
        return ids - first
    if not classes:
        name = next(name for name, key in zip(names, keys, strict=True) if not key.isdigit())
        raise UserError(
            f"{source}: classes are names such as '{name}', whose order this protocol does "
            "not fix; give --classes FILE with one name a line"
        )
    plain = {_plain(name): index for index, name in enumerate(classes)}
    found = [
        by_key.get(key, plain.get(_plain(name))) for name, key in zip(names, keys, strict=True)
    ]
    for name, index, place in zip(names, found, where, strict=True):
        if index is None:
            raise UserError(
                f"{place}: unknown phase {str(name)!r}; known: {', '.join(classes)}"
                + near(name, classes)
            )
    return np.array(found, np.int64)


def _first_number(ids: np.ndarray, num_classes: int, source: str) -> int:
    if not num_classes or not len(ids) or ids.min() == 0:
        return 0
    if ids.max() >= num_classes:
        return 1
    raise UserError(
        f"{source}: classes are numbered {ids.min()} to {ids.max()}, which of {num_classes} may "
        "count from 0 or from 1; say which by --first-class"
    )


def column_order(names: Sequence[str], classes: Sequence[str], source: str) -> np.ndarray:
    """The column of each class, int [C], for columns called `names`.

    Names that are the classes in another order, and numbers, are sorted out; other names are taken
    to stand in the order of the classes. Raises UserError where a name contradicts that.
    """
    standing = np.arange(len(names))
    if all(re.fullmatch(r"[0-9]{1,9}", name) for name in names):
        return np.argsort(np.array(names, dtype=np.int64), kind="stable")
    found, wanted = [_plain(name) for name in names], [_plain(name) for name in classes]
    if len(set(found)) == len(found) and sorted(found) == sorted(wanted):
        return np.array([found.index(name) for name in wanted])
    for index, name in enumerate(found):
        if name in wanted and wanted[index : index + 1] != [name]:
            raise UserError(
                f"{source}: score {index} is called {names[index]!r}, which is class "
                f"{wanted.index(name)} of {', '.join(classes)}; name all of them, in any order"
            )
    return standing


def check_shared(names: Sequence[str], classes: Sequence[str], source: str, scorer: str) -> str:
    """Holds the class names of a file against those that are scored, which are as many.

    Returns:
        What to say where some are called otherwise, and so are taken by their order; else "".

    Raises:
        UserError: none is called alike, and they are no numbers or numbered words either.
    """
    known = {_plain(name) for name in classes}
    others = [name for name in names if _plain(name) not in known]
    if not others or any(re.search(r"[0-9]", name) for name in names):
        return ""
    if len(others) == len(names):
        raise UserError(
            f"{source}: its classes {_some(names)} are none of {scorer}'s ({_some(classes)}); take "
            "another protocol, or name them by --classes FILE in the order of the protocol's, if "
            "they mean the same"
        )
    which = ", ".join(
        f"{name!r} for {wanted!r}"
        for name, wanted in zip(names, classes, strict=True)
        if name in others
    )
    return f"{source}: classes were taken by their order: {which}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
