"""Whether a table of positions in a file is the fixed one that we compute."""

import math

import numpy as np

from surgvista_jax.models.positions import TABLES
from surgvista_jax.weights.files.stored import Stored

# Largest difference between equal tables, by the type that they were saved in.
_TOLERANCE = {"float16": 1e-3, "bfloat16": 1e-2}
_SINGLE = 1e-4
_STEP = 0.1  # a code's first column is sin(n): it changes by more than this from 0 to 1


def positions_fault(name: str, stored: Stored, form: str) -> str:
    """Why a stored table is not the fixed one, in words; "" where it is, whatever its grid.

    Args:
        name: what the file calls it.
        stored: [N, D] or [1, N, D].
        form: what the model's positions are: "separable", "flat" or "stretched".
    """
    if stored.shape[:-2] not in ((), (1,)) or len(stored.shape) < 2 or 0 in stored.shape:
        return f"{name} is {list(stored.shape)}, and a table of positions is [1, N, D]"
    table = stored.read().reshape(stored.shape[-2:])
    says = f"{name} is not the fixed sine table ({form}) that the model computes"
    if not np.isfinite(table).all():  # its grid cannot be read off
        return f"{says}: it holds values that are not finite"
    learned = (
        f"learned positions are not read (a model trained with use_learnable_pos_emb): take a"
        f" checkpoint with fixed ones, or drop {name} from the file and finetune anew, for without"
        " it the fixed table is computed"
    )
    difference = np.inf
    for grid in _grids(table, form):
        try:
            wanted = TABLES[form](grid, table.shape[1])
        except ValueError:  # no such table has this width
            break
        difference = min(difference, np.abs(table - wanted).max())
        if difference <= _TOLERANCE.get(stored.dtype, _SINGLE):
            return ""
    if not np.isfinite(difference):
        return f"{says}, for any grid of {len(table)} tokens: {learned}"
    return f"{says}: it differs by up to {difference:.2g}; {learned}"


def _grids(table: np.ndarray, form: str) -> list[tuple[int, int, int]]:
    """Grids (t, h, w) of which a table [N, D] may be."""
    tokens = len(table)
    if form == "flat":  # only counts
        return [(1, 1, tokens)]
    if form == "separable":
        grid = _grid(table)
        return [] if grid is None else [grid]
    sides = range(1, math.isqrt(tokens) + 1)  # of square frames
    return [(tokens // side**2, side, side) for side in sides if tokens % side**2 == 0]


def _grid(table: np.ndarray) -> tuple[int, int, int] | None:
    """Tokens along (t, h, w) of a separable table [N, D], read off where its codes change."""
    tokens, width = table.shape
    if width % 16:
        return None
    time, row = table[:, 0], table[:, width * 5 // 8]
    frame = _first_change(time)
    across = _first_change(row[:frame])
    if tokens % frame or frame % across:
        return None
    return tokens // frame, frame // across, across


def _first_change(code: np.ndarray) -> int:
    """How many values there are before the first that differs."""
    changed = np.flatnonzero(~(np.abs(code - code[0]) < _STEP))
    return int(changed[0]) if len(changed) else len(code)
