"""The class that a name or a number in a file means, and the order of its columns."""

import re
from collections.abc import Sequence

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near, same_class

_MOST_DIGITS = 9


def _plain(name: str) -> str:
    """Case, blanks, hyphens and underscores are ignored."""
    return re.sub(r"[\s_\-]+", "", name).lower()


def class_ids(
    names: np.ndarray, classes: Sequence[str], source: str, first: int | None = None
) -> np.ndarray:
    """Class ids of names or numbers, int64 [N].

    Args:
        names: text [N]; all whole numbers, which may be written as 1.0, or all names.
        classes: in the order of their ids; () if they are not known.
        first: the number of the first class in this file, 0 or 1. None: inferred from the
            numbers; raises UserError where they could be either.
    """
    names = np.array([_number(str(name).strip()) for name in names], str)
    distinct, inverse = np.unique(names, return_inverse=True)
    if all(re.fullmatch(r"[0-9]+", name) for name in distinct):
        if long := [name for name in distinct if len(name) > _MOST_DIGITS]:
            raise UserError(f"{source}: class {long[0]:.40}: no task has so many classes")
        ids = distinct.astype(np.int64)
        if first is None:
            first = _first_number(ids, len(classes), source)
        if len(ids) and ids.min() < first:
            raise UserError(f"{source}: class {ids.min()}, but --first-class is {first}")
        return (ids - first)[inverse.ravel()]
    if not classes:
        raise UserError(
            f"{source}: classes are names such as '{distinct[0]}', whose order this protocol does "
            "not fix; give --classes FILE with one name a line"
        )
    known = {_plain(name): index for index, name in enumerate(classes)}
    known |= {same_class(name): index for index, name in enumerate(classes)}
    found = [known.get(same_class(name), known.get(_plain(name))) for name in distinct]
    unknown = [name for name, index in zip(distinct, found, strict=True) if index is None]
    if unknown:
        raise UserError(
            f"{source}: unknown phase '{unknown[0]}'; known: {', '.join(classes)}"
            + near(unknown[0], classes)
        )
    return np.array(found, np.int64)[inverse.ravel()]


def _number(name: str) -> str:
    """A whole number in its plainest form, "1.0" as "1"; other names as they are."""
    plain = same_class(name)
    return plain if re.fullmatch(r"\d+", plain) else name


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
