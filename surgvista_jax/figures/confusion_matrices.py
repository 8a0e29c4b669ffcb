"""The figure of confusions: shares of each true class by what was predicted, for print."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from surgvista_jax.figures.printed import (
    INK,
    SMALL,
    Sheet,
    all_different,
    draw_panels,
    shortened,
    width_of,
)

MOST_CLASSES = 40
_COLOURS = colormaps["Greys"]
_DARKEST = 0.85  # of the colours, so that white numbers can be read
# Inches.
_TITLE, _NUMBERS = 0.2, 0.16
_LARGEST, _NARROWEST = 0.34, 0.165  # cells, and cells with numbers
_NOTE = (
    "Rows: true classes; columns: predicted ones, by the row’s number. In percent of the row; "
    "empty: none; framed: predicted as the truth."
)


@dataclass(frozen=True, eq=False)
class Confusion:
    """One model: counts int [C, C], rows the truth."""

    title: str
    classes: tuple[str, ...]
    counts: np.ndarray


def draw_confusions(confusions: Sequence[Confusion], width: str = "single") -> Figure:
    """Matrices beside and below one another; numbers stand where cells have room for them."""
    return draw_panels(confusions, _tall, _matrix, _NOTE, width)


def _tall(confusion: Confusion, width: float) -> float:
    return _TITLE + _cell(confusion, width) * len(confusion.classes) + _NUMBERS


def _labels(confusion: Confusion) -> list[str]:
    return [f"{name}  {k}" for k, name in enumerate(confusion.classes)]


def _names(confusion: Confusion, width: float) -> float:
    return min(max(map(width_of, _labels(confusion))), 0.36 * width)


def _cell(confusion: Confusion, width: float) -> float:
    """Inches of a cell's side."""
    return min((width - _names(confusion, width) - 0.06) / len(confusion.classes), _LARGEST)


def _matrix(sheet: Sheet, confusion: Confusion, left: float, top: float, width: float) -> None:
    number, counts = len(confusion.classes), np.asarray(confusion.counts, np.float64)
    total = counts.sum(1, keepdims=True)
    share = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    start = left + _names(confusion, width) + 0.06
    cell = _cell(confusion, width)
    side = cell * number
    title = shortened(confusion.title, width, weight="bold")
    sheet.write(title, left, top + 0.08, weight="bold")
    axes = sheet.axes(start, top + _TITLE, side, side)
    lines = {"edgecolor": "white", "linewidth": 0.3}
    axes.pcolormesh(np.nan_to_num(share) * _DARKEST, cmap=_COLOURS, vmin=0, vmax=1, **lines)
    for k in range(number):  # a class that is never found has an empty one
        axes.add_patch(Rectangle((k, k), 1, 1, facecolor="none", edgecolor=INK, linewidth=0.5))
    axes.set(xlim=(0, number), ylim=(number, 0), xticks=[], yticks=[])
    small = min(SMALL, 72 * cell / 1.15)
    short = all_different(_labels(confusion), start - left - 0.05, small)
    every = max(1, int(np.ceil((width_of(str(number - 1), SMALL) + 0.03) / cell)))
    for k in range(number):
        middle = top + _TITLE + (k + 0.5) * cell
        sheet.write(short[k], start - 0.05, middle, ha="right", size=small)
        across = start + (k + 0.5) * cell
        if k % every == 0:
            below = top + _TITLE + side + 0.09
            sheet.write(str(k), across, below, ha="center", size=SMALL)
        if cell < _NARROWEST:
            continue
        for j in range(number):
            if np.isnan(share[k, j]) or not counts[k, j]:
                continue
            text = "<1" if share[k, j] < 0.005 else f"{100 * share[k, j]:.0f}"
            colour = "white" if share[k, j] > 0.55 else INK
            at = start + (j + 0.5) * cell
            sheet.write(text, at, middle, ha="center", size=5.0, color=colour)
