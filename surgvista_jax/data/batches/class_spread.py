"""Which patients change places, so that every part of a dataset shows every class?"""

import itertools
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np


def as_array(shown: Sequence[Collection[int]]) -> np.ndarray:
    """The classes that each group shows as bool [G, C], with the largest id as the last one."""
    holds = np.zeros((len(shown), 1 + max(itertools.chain(*shown), default=0)), bool)
    for row, classes in zip(holds, shown, strict=True):
        row[list(classes)] = True
    return holds


def wanted_in(holds: np.ndarray, parts: int) -> np.ndarray:
    """Which parts should show which classes: all parts, where as many groups hold the class.

    One that fewer hold should be in the first ones: what is not trained on cannot be scored.

    Args:
        holds: bool [G, C], which classes a group (the videos of a patient) shows.
        parts: how many; part 0 is trained on.

    Returns:
        bool [P, C].
    """
    return np.arange(parts)[:, None] < holds.sum(axis=0)


def lacking_in(holds: np.ndarray, part: np.ndarray, parts: int) -> np.ndarray:
    """Which parts do not show which classes, though they should (`wanted_in`), bool [P, C].

    Args:
        part: int [G], the part that each group is in.
    """
    return wanted_in(holds, parts) & (_shown(holds, part, parts) == 0)


def spread(
    holds: np.ndarray, sizes: Sequence[int], drawn: Sequence[int], parts: int
) -> tuple[list[int], int]:
    """Moves as few groups as it finds to, so that parts lack as few classes as it finds.

    Each step makes the exchange of two groups, or the move of one, after which the parts lack
    least, and of those the one that changes their sizes least. No part becomes larger than double
    or smaller than half of what it was, nor does another outgrow the one that is trained on.

    Args:
        holds: bool [G, C]; of moves that are alike the one of the first groups is made.
        sizes: videos of each group, [G].
        drawn: the part that each is in, [G].
        parts: how many.

    Returns:
        The part that each is in then, and how often a part lacks a class.
    """
    part, of_group = np.array(drawn), np.array(sizes)
    before = np.bincount(part, of_group, parts)
    while True:
        lacking = lacking_in(holds, part, parts)
        moves = [
            _best_move(holds, of_group, part, before, lacking, into, out_of)
            for into, out_of in itertools.permutations(range(parts), 2)
            if lacking[into].any()
        ]
        move = min(filter(None, moves), key=lambda move: (move.lacking, move.change), default=None)
        if move is None or move.lacking >= lacking.sum():
            return part.tolist(), int(lacking.sum())
        out_of, part[move.group] = part[move.group], move.into
        if move.back is not None:
            part[move.back] = out_of


class _Move(NamedTuple):
    """A group that goes into a part, another that comes back for it, and what then is."""

    lacking: int
    change: float
    group: int
    back: int | None
    into: int


def _best_move(
    holds: np.ndarray,
    sizes: np.ndarray,
    part: np.ndarray,
    before: np.ndarray,
    lacking: np.ndarray,
    into: int,
    out_of: int,
) -> _Move | None:
    """The best move between two parts of so many videos before; None where there is none."""
    parts = len(before)
    gives = (part == out_of) & (holds & lacking[into]).any(axis=1)
    groups = _unlike(holds, sizes, np.flatnonzero(gives))
    backs = _unlike(holds, sizes, np.flatnonzero(part == into))
    if not len(groups):
        return None
    nobody = np.zeros((1, holds.shape[1]), int)
    coming = holds[groups].astype(int)[:, None] - np.concatenate([holds[backs], nobody])
    grown = sizes[groups][:, None] - np.concatenate([sizes[backs], [0]])
    shown, wanted = _shown(holds, part, parts), wanted_in(holds, parts)
    lacks = (wanted[into] & (shown[into] + coming == 0)).sum(axis=-1)
    lacks = lacks + (wanted[out_of] & (shown[out_of] - coming == 0)).sum(axis=-1)
    lacks += np.delete(lacking, [into, out_of], axis=0).sum()
    size = np.bincount(part, sizes, parts)[:, None, None] + np.zeros_like(grown)
    size[into] += grown
    size[out_of] -= grown
    drawn = before[:, None, None]
    fits = ((size <= 2 * drawn) & (2 * size >= drawn)).all(axis=0)
    fits &= size[0] >= np.minimum(drawn[0], size[1:].max(axis=0))
    change = np.abs(size - drawn).sum(axis=0)
    if not fits.any():
        return None
    rank = np.where(fits, lacks * (2 * before.sum() + 1) + change, np.inf)
    group, back = np.unravel_index(int(rank.argmin()), rank.shape)
    return _Move(
        int(lacks[group, back]),
        float(change[group, back]),
        int(groups[group]),
        int(backs[back]) if back < len(backs) else None,
        into,
    )


def _shown(holds: np.ndarray, part: np.ndarray, parts: int) -> np.ndarray:
    """Groups of each part that hold each class, int [P, C]."""
    return np.stack([holds[part == number].sum(axis=0) for number in range(parts)])


def _unlike(holds: np.ndarray, sizes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The first of the groups that are alike, ascending."""
    rows = np.column_stack([holds[groups], sizes[groups]])
    return groups[np.sort(np.unique(rows, axis=0, return_index=True)[1])]
