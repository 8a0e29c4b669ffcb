"""Is a run the cell of a study, and what does the study call it?"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

STUDY, CELLS = "study.json", "cells"  # in a study's folder: what it is, and where its runs lie
_SEED = re.compile(r"seed([0-9]+)")


@dataclass(frozen=True)
class Place:
    """What the folder of a cell says; `study` is that of its study."""

    study: Path
    weights: str
    dataset: str
    mode: str
    seed: int


def cell_at(path: str | Path) -> Place | None:
    """The cell whose folder this is, or in whose folder or report it lies; None of another run."""
    place = Path(os.path.abspath(path))
    for folder in (place, *place.parents[:2]):  # the run, what lies in it, and its report
        seed = _SEED.fullmatch(folder.name)
        if seed is None or len(folder.parents) < 6 or folder.parents[3].name != CELLS:
            continue
        if (folder.parents[4] / STUDY).is_file():
            weights, dataset, mode = folder.parts[-4:-1]
            return Place(folder.parents[4], weights, dataset, mode, int(seed[1]))
    return None


def names_of_cells(systems: Sequence[Sequence[str]]) -> list[str]:
    """Short names of systems that are all cells, or several seeds of one: [] of others.

    The weights, and of dataset, mode and seeds what tells these systems apart. Two studies may mean
    other things by one name: where both are here, the folder of the study is named first.
    """
    told, studies = [], set()
    for paths in systems:
        cells = [cell_at(path) for path in paths]
        known = [cell for cell in cells if cell is not None]
        if len(known) < len(cells) or len({replace(cell, seed=0) for cell in known}) != 1:
            return []
        seeds = ", ".join(str(seed) for seed in sorted(cell.seed for cell in known))
        words = f"seed{'s' if len(known) > 1 else ''} {seeds}"
        one = known[0]
        told.append((one.study.name, one.weights, one.dataset, one.mode, words))
        studies.add(one.study)
    differ = [len({parts[at] for parts in told}) > 1 for at in range(5)]
    differ[:2] = len(studies) > 1, True
    names = [
        ", ".join(part for part, shown in zip(parts, differ, strict=True) if shown)
        for parts in told
    ]
    return names if len(set(names)) == len(names) else []  # such as of two folders of one name
