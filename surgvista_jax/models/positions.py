"""Position tables of the token grid: fixed sines in three forms, and tables for another grid."""

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


# Tokens along (t, h, w) of the clips that UMT was pretrained on: 8 frames of 224 pixels.
_STRETCHED = (8, 14, 14)


def stretched_sine(grid: tuple[int, int, int], width: int) -> np.ndarray:
    """The flat table of 8x14x14 tokens, interpolated to the grid (UMT).

    Each frame's part bicubically, then along time linearly; on 8x14x14 it is the flat table.
    Source: `get_sinusoid_encoding_table` of https://github.com/OpenGVLab/unmasked_teacher.

    Args:
        grid: tokens along (t, h, w).
        width: model width D, even.

    Returns:
        float32 [t*h*w, D].
    """
    t, h, w = _STRETCHED
    table = flat_sine(_STRETCHED, width).reshape(t, h * w, width)
    frames = [interpolate_positions(frame, (h, w), grid[1:]) for frame in table]
    return interpolate_time(np.stack(frames), grid[0]).reshape(-1, width)


TABLES = {"separable": separable_sine, "flat": flat_sine, "stretched": stretched_sine}


def check_width(field: str, width: int, positions: str) -> None:
    """Raises ValueError, of a configuration's field, for a width that a table cannot code."""
    try:
        TABLES[positions]((1, 1, 1), width)
    except ValueError as error:
        raise ValueError(f"{field}={width}: {error}") from None


# "bicubic" as torch's `interpolate` to a size (MAE, transformers); "offset" as it is given a scale
# factor of 0.1 patches more than there are (DINO); "antialias" as its antialiased form (timm).
RESIZES = ("bicubic", "offset", "antialias")


def interpolate_positions(
    table: np.ndarray, old: tuple[int, int], new: tuple[int, int], how: str = "bicubic"
) -> np.ndarray:
    """A table of positions for another grid of patches, by bicubic interpolation.

    As torch's `interpolate(mode="bicubic", align_corners=False)`: Keys's kernel with a = -0.75,
    and the outermost values beyond the edge; antialiased with a = -0.5, which is stretched where
    the grid shrinks and cut off at the edge.

    Args:
        table: [h*w, D].
        old, new: (h, w) before and after.
        how: of `RESIZES`, which says whose programs interpolate so.

    Returns:
        float32 [h'*w', D]; the table itself where the grid stays.
    """
    if old == new:
        return table
    rows, columns = (_bicubic(*sizes, how) for sizes in zip(old, new, strict=True))
    grid = np.asarray(table, np.float64).reshape(*old, -1)
    resized = np.einsum("rh,cw,hwd->rcd", rows, columns, grid, optimize=True)
    return resized.reshape(new[0] * new[1], -1).astype(np.float32)


def interpolate_time(table: np.ndarray, frames: int) -> np.ndarray:
    """Linearly along the first axis, as torch's `interpolate(mode="linear")`: [t, …] -> [t', …]."""
    old = len(table)
    if old == frames:
        return table
    places = np.clip((np.arange(frames) + 0.5) * old / frames - 0.5, 0, old - 1)
    first = np.floor(places).astype(int)
    after = np.minimum(first + 1, old - 1)
    share = (places - first).reshape(-1, *(1,) * (table.ndim - 1))
    return ((1 - share) * table[first] + share * table[after]).astype(np.float32)


def _bicubic(old: int, new: int, how: str) -> np.ndarray:
    """How much of every old sample is in every new one: [new, old]; each row adds up to 1."""
    a = -0.5 if how == "antialias" else -0.75
    size = new + 0.1 if how == "offset" else new
    spread = max(old / size, 1.0) if how == "antialias" else 1.0
    centres = (np.arange(new) + 0.5) * old / size - 0.5
    reach = int(np.ceil(2 * spread))
    weights = np.zeros((new, old))
    for tap in range(1 - reach, reach + 1):
        place = np.floor(centres).astype(int) + tap
        x = np.abs(centres - place) / spread
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        far = a * (x**3 - 5 * x**2 + 8 * x - 4)
        share = np.where(x <= 1, near, np.where(x < 2, far, 0.0))
        if how == "antialias":
            share = np.where((place >= 0) & (place < old), share, 0.0)
        np.add.at(weights, (np.arange(new), np.clip(place, 0, old - 1)), share)
    return weights / weights.sum(1, keepdims=True) if how == "antialias" else weights
