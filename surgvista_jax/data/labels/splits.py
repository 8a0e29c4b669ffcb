"""Splits in place of those that a dataset's authors drew without saying how."""

import hashlib
from collections.abc import Mapping, Sequence


def seeded_order(ids: Sequence[str], seed: int) -> list[str]:
    """The ids in an order that looks random and depends on them and the seed alone.

    By hash, not by a random generator: the order is the same in any version of any library, and
    leaving out a video leaves the others where they are.
    """
    return sorted(ids, key=lambda video: hashlib.sha256(f"{seed}:{video}".encode()).hexdigest())


def cut(ids: Sequence[str], sizes: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Cuts a list into splits of these sizes, the last of which takes the rest."""
    splits, start = {}, 0
    names = list(sizes)
    for name in names:
        stop = len(ids) if name == names[-1] else start + sizes[name]
        splits[name] = tuple(sorted(ids[start:stop]))
        start = stop
    return splits
