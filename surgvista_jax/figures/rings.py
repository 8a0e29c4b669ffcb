"""The figure of rings: how much of the pretraining data shows what a task is of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from surgvista_jax.figures.printed import (
    DARK,
    HATCH,
    INK,
    LIGHT,
    LINE,
    MARGIN,
    SMALL,
    WIDTHS,
    Sheet,
    shortened,
    style,
    wrapped,
)

# Of (the same, another, unknown).
_LOOKS: tuple[dict[str, Any], ...] = (
    {"facecolor": DARK},
    {"facecolor": LIGHT},
    {"facecolor": "white", "hatch": HATCH},
)
# Inches.
_HEADING, _TITLE, _GAP = 0.2, 0.14, 0.1
_CELL, _RING = 1.1, 0.82  # of a ring with its words, at least, and a ring
_NOTE = (
    "Outer ring: anatomy; inner ring: operation. Dark: the same as in the dataset that is named; "
    "light: another; hatched: not known, or many."
)


@dataclass(frozen=True)
class Ring:
    """One downstream dataset against the data of one pretraining.

    Attributes:
        anatomy, operation: shares that are (the same, another, unknown), of sum 1.
    """

    name: str
    anatomy: tuple[float, float, float]
    operation: tuple[float, float, float]


@dataclass(frozen=True)
class Rings:
    """The downstream datasets against one pretraining."""

    title: str
    rings: tuple[Ring, ...]


def draw_rings(groups: Sequence[Rings], note: str, width: str = "single") -> Figure:
    """Rings beside and below one another, a heading for each pretraining; `note` stands below."""
    with style():
        across = WIDTHS[width]
        inside = across - 2 * MARGIN
        most = max(len(group.rings) for group in groups)
        columns = max(1, min(int(inside // _CELL), most))  # few have the whole width
        each = inside / columns
        tall = _TITLE + _RING + 0.04 + 2 * LINE + _GAP
        lines = wrapped(f"{_NOTE} {note}", inside)
        rows = [-(-len(group.rings) // columns) for group in groups]
        height = 2 * MARGIN + sum(_HEADING + n * tall for n in rows) + LINE * len(lines)
        sheet = Sheet(across, height)
        top = MARGIN
        for group, number in zip(groups, rows, strict=True):
            heading = shortened(group.title, inside, weight="bold")
            sheet.write(heading, MARGIN, top + 0.08, weight="bold")
            top += _HEADING
            for at, ring in enumerate(group.rings):
                row, column = divmod(at, columns)
                _ring(sheet, ring, MARGIN + column * each, top + row * tall, each)
            top += number * tall
        sheet.write_lines(lines, top)
        return sheet.figure


def percent(share: float) -> str:
    """Whole percent; what is not nothing is not 0, and what is not all is not 100."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def _ring(sheet: Sheet, ring: Ring, left: float, top: float, width: float) -> None:
    middle = left + width / 2
    name = shortened(ring.name, width - 0.06)
    sheet.write(name, middle, top + _TITLE / 2, ha="center")
    axes = sheet.axes(middle - _RING / 2, top + _TITLE, _RING, _RING)
    for radius, shares in ((1.0, ring.anatomy), (0.66, ring.operation)):
        parts = [(share, look) for share, look in zip(shares, _LOOKS, strict=True) if share > 0]
        wedges, *_ = axes.pie(
            [share for share, _ in parts],
            radius=radius,
            startangle=90,
            counterclock=False,
            normalize=True,
            wedgeprops={"width": 0.3, "edgecolor": INK, "linewidth": 0.4},
        )
        for wedge, (_, look) in zip(wedges, parts, strict=True):
            wedge.set(**look)
    axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02))
    below = top + _TITLE + _RING + 0.04
    for at, (word, shares) in enumerate((("anatomy", ring.anatomy), ("operation", ring.operation))):
        # Where all is unknown there is no share to tell.
        told = "not known" if shares[2] == 1 else percent(shares[0])
        text = f"{word} {told}"
        sheet.write(text, middle, below + (at + 0.5) * LINE, size=SMALL, ha="center")
