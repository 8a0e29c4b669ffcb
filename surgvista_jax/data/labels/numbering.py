"""Whether the numbers in the names of images are those that labels go by."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from surgvista_jax.data.labels.track import MANY, TOO_SHORT
from surgvista_jax.errors import UserError


class Unnumbered(Exception):
    """The names of images hold no number that counts them."""


def image_numbers(paths: Sequence[Path]) -> list[int]:
    """The number that counts the images of a folder, of each.

    Of several numbers in a name it is the one that differs from name to name.

    Raises:
        Unnumbered: there is none, or several differ.
        UserError: single images are called otherwise than the rest, as copies are, or two have one
            number.
    """
    forms = Counter(_form(path) for path in paths)
    usual = max(forms, key=forms.__getitem__, default="")
    others = [path for path in paths if _form(path) != usual]
    if "0" not in usual or 2 * len(others) > len(paths):
        raise Unnumbered
    like = next(path for path in paths if _form(path) == usual)
    if others:
        raise UserError(
            f"{others[0]}: is not named as the other images ({like.name}){_more(others)}; take "
            "copies and other pictures out of the folder"
        )
    rows = [[int(digits) for digits in _digits(path)] for path in paths]
    columns = list(zip(*rows, strict=True))
    varying = [column for column in columns if len(set(column)) > 1]
    if len(varying) > 1:
        raise Unnumbered
    numbers = list(varying[0] if varying else columns[-1])
    first: dict[int, Path] = {}
    for number, path in zip(numbers, paths, strict=True):
        if number in first:
            raise UserError(f"{path}: has the number {number}, as {first[number].name}; keep one")
        first[number] = path
    return numbers


def numbering_fault(images: Collection[int], labels: Collection[int]) -> str:
    """Says how the numbers of images and of labels differ; "" where they may be the same.

    Images without a label and labels without an image are no fault. It is one if hardly any number
    is in both; if more were, were they counted by their place: another start, another step; and if
    the ones, without a gap, end long before the others: seconds there and frames here.
    """
    ours, theirs = set(images), set(labels)
    if not ours or not theirs:
        return ""
    shared = len(ours & theirs)
    few = 2 * shared <= min(len(ours), len(theirs))
    by_step = _overlap(_by_step(ours), _by_step(theirs))
    shifted = by_step >= 0.8 and by_step > _overlap(ours, theirs)
    if not (few or shifted or _ends_early(ours, theirs) or _ends_early(theirs, ours)):
        return ""
    return (
        f"its images are numbered {series(ours)}, its labels {series(theirs)}: {shared} numbers "
        "are in both; number both alike"
    )


def place_fault(numbers: Sequence[int], *, from_start: bool) -> str:
    """Says where numbers in a row leave some out; "" where their steps are even.

    Args:
        from_start: the first one must be the start of a video: 0, 1 or one step.
    """
    steps = [b - a for a, b in zip(numbers, numbers[1:], strict=False)]
    usual = Counter(steps).most_common(1)[0][0] if steps else 1
    jumps = [k for k, step in enumerate(steps) if step != usual]
    begins = from_start and numbers[0] not in (0, 1, usual)
    if not jumps and not begins:
        return ""
    if begins:
        where = f"they begin with {numbers[0]}"
    else:
        more = f", and {len(jumps) - 1} more such steps" if jumps[1:] else ""
        where = f"after {numbers[jumps[0]]} comes {numbers[jumps[0] + 1]}{more}"
    return (
        f"its images are numbered {series(numbers)}, but {where}; the labels count them by their "
        "order, from 0, so none may be missing"
    )


def series(numbers: Iterable[int]) -> str:
    """The first and the last of some numbers: `0, 25, 50 … 2475`."""
    ordered = sorted(numbers)
    if len(ordered) < 5:
        return ", ".join(map(str, ordered))
    return ", ".join(map(str, ordered[:3])) + f" … {ordered[-1]}"


def _by_step(numbers: set[int]) -> set[int]:
    """The numbers counted from 0 in the step that all of them share."""
    lowest = min(numbers)
    step = math.gcd(*(number - lowest for number in numbers)) or 1
    return {(number - lowest) // step for number in numbers}


def _ends_early(numbers: set[int], others: set[int]) -> bool:
    """Whether many numbers without a gap begin as others do and end long before them."""
    first, last = min(numbers), max(numbers)
    whole = len(numbers) >= MANY and last - first + 1 == len(numbers)
    return whole and min(others) <= first and last <= TOO_SHORT * max(others)


def _overlap(first: set[int], second: set[int]) -> float:
    return len(first & second) / len(first | second)


def _digits(path: Path) -> list[str]:
    return re.findall(r"[0-9]+", path.stem)


def _form(path: Path) -> str:
    """A name with 0 for each number, whatever the case; the ending does not count."""
    return re.sub(r"[0-9]+", "0", path.stem.casefold())


def _more(paths: Sequence[Path]) -> str:
    return f", nor are {len(paths) - 1} more" if paths[1:] else ""
