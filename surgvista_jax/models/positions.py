"""Fixed sine position tables of the token grid, in the two forms that checkpoints use."""

import numpy as np


def _sine(positions: np.ndarray, width: int, base: float = 10000.0) -> np.ndarray:
    """All sines, then all cosines, of geometric frequencies: [n] -> [n, width]."""
    frequencies = base ** -(np.arange(width // 2, dtype=np.float64) / (width // 2))
    angles = positions.reshape(-1, 1) * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def separable_sine(grid: tuple[int, int, int], width: int) -> np.ndarray:
    """Time, column and row coded apart, a quarter and three eighths of the width each (MVD).

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
    """The token's number in (t, h, w) order coded by interleaved sines and cosines (VideoMAE).

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
