"""Whether a table of positions in a file is the fixed one that we compute."""

import numpy as np

from surgvista_jax.models.positions import flat_sine, separable_sine
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
        form: "separable" or "flat", what the model's positions are.
    """
    if stored.shape[:-2] not in ((), (1,)) or len(stored.shape) < 2 or 0 in stored.shape:
        return f"{name} is {list(stored.shape)}, and a table of positions is [1, N, D]"
    table = stored.read().reshape(stored.shape[-2:])
    says = f"{name} is not the fixed sine table ({form}) that the model computes"
    if not np.isfinite(table).all():  # its grid cannot be read off
        return f"{says}: it holds values that are not finite"
    try:
        grid = (1, 1, len(table)) if form == "flat" else _grid(table)
        make = flat_sine if form == "flat" else separable_sine
        wanted = None if grid is None else make(grid, table.shape[1])
    except ValueError:  # no such table has this width
        wanted = None
    if wanted is None:
        return f"{says}, for any grid of {len(table)} tokens: learned positions are not read"
    difference = np.abs(table - wanted).max()
    if not difference <= _TOLERANCE.get(stored.dtype, _SINGLE):
        return f"{says}: it differs by up to {difference:.2g}; learned positions are not read"
    return ""


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
