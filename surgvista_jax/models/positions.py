"""Position tables of the token grid: fixed sines in two forms, and tables for another grid."""

import numpy as np


def _sine(positions: np.ndarray, width: int) -> np.ndarray:
    """All sines, then all cosines, of geometric frequencies: [n] -> [n, width]."""
    frequencies = 10000.0 ** -(np.arange(width // 2, dtype=np.float64) / (width // 2))
    angles = positions.reshape(-1, 1) * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def separable_sine(grid: tuple[int, int, int], width: int) -> np.ndarray:
    """Time, column and row encoded apart, a quarter and three eighths of the width each (MVD).

    Args:
        grid: tokens along (t, h, w).
        width: model width D, divisible by 16 so that each part holds sine and cosine pairs.

    Returns:
        float32 [t*h*w, D] in (t, h, w) order.
    """
    if width % 16:
        raise ValueError(f"separable sine positions need a width divisible by 16, not {width}")
    time, row, column = (axis.ravel() for axis in np.indices(grid))
    parts = [
        _sine(time, width // 4),
        _sine(column, width * 3 // 8),
        _sine(row, width * 3 // 8),
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def flat_sine(grid: tuple[int, int, int], width: int) -> np.ndarray:
    """The token's number in (t, h, w) order, encoded by interleaved sines and cosines (VideoMAE).

    Args:
        grid: tokens along (t, h, w).
        width: model width D, even.

    Returns:
        float32 [t*h*w, D].
    """
    if width % 2:
        raise ValueError(f"flat sine positions need an even width, not {width}")
    halves = _sine(np.arange(np.prod(grid)), width).reshape(-1, 2, width // 2)
    return halves.swapaxes(1, 2).reshape(-1, width).astype(np.float32)


TABLES = {"separable": separable_sine, "flat": flat_sine}


def check_width(field: str, width: int, positions: str) -> None:
    """Raises ValueError, of a configuration's field, for a width that a table cannot code."""
    try:
        TABLES[positions]((1, 1, 1), width)
    except ValueError as error:
        raise ValueError(f"{field}={width}: {error}") from None


def interpolate_positions(
    table: np.ndarray, old: tuple[int, int], new: tuple[int, int]
) -> np.ndarray:
    """A table of positions for another grid of patches, by bicubic interpolation.

    As torch's `interpolate(mode="bicubic", align_corners=False)`: Keys's kernel with a = -0.75,
    and the outermost values beyond the edge.

    Args:
        table: [h*w, D].
        old, new: (h, w) before and after.

    Returns:
        float32 [h'*w', D]; the table itself where the grid stays.
    """
    if old == new:
        return table
    rows, columns = (_bicubic(*sizes) for sizes in zip(old, new, strict=True))
    grid = np.asarray(table, np.float64).reshape(*old, -1)
    resized = np.einsum("rh,cw,hwd->rcd", rows, columns, grid, optimize=True)
    return resized.reshape(new[0] * new[1], -1).astype(np.float32)


def _bicubic(old: int, new: int) -> np.ndarray:
    """How much of every old sample is in every new one: [new, old]; each row adds up to 1."""
    a = -0.75
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(centres).astype(int) - 1
    weights = np.zeros((new, old))
    for tap in range(4):
        x = np.abs(centres - (first + tap))
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        far = a * (x**3 - 5 * x**2 + 8 * x - 4)
        place = np.clip(first + tap, 0, old - 1)
        np.add.at(weights, (np.arange(new), place), np.where(x <= 1, near, far))
    return weights
