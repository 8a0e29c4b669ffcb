"""The figure of amounts of data: two scores, each on an axis of its own, as the data grow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from surgvista_jax.figures.bars import Bar, axis_of, ticks_of
from surgvista_jax.figures.printed import (
    DARK,
    HATCH,
    INK,
    LIGHT,
    LINE,
    SMALL,
    Sheet,
    all_different,
    draw_panels,
    shortened,
    width_of,
)

# Inches.
_TITLE, _KEY, _PLOT, _TICKS = 0.2, 0.13, 1.15, 0.34
_LONGEST = 1.1  # of what stands below a bar
_BAR = 0.36  # of the room of an amount


@dataclass(frozen=True)
class Amounts:
    """One dataset and mode.

    Attributes:
        names: of the amounts, in their order.
        sizes: what each is, in words; "" where it is not known.
        axes: titles of the two scores.
        bars: of the left and of the right axis, one for each amount.
    """

    title: str
    names: tuple[str, ...]
    sizes: tuple[str, ...]
    axes: tuple[str, str]
    bars: tuple[tuple[Bar, ...], tuple[Bar, ...]]


def draw_amounts(panels: Sequence[Amounts], note: str, width: str = "single") -> Figure:
    """Panels beside and below one another, in a column's width; `note` is written below."""
    return draw_panels(panels, _tall, _panel, note, width)


def _tall(panel: Amounts, width: float) -> float:
    return _TITLE + 2 * _KEY + 0.08 + _PLOT + _labels(panel, width)[1]


def _labels(panel: Amounts, width: float) -> tuple[list[str], float, bool]:
    """What stands below each amount, the height of that, and whether it is turned."""
    room = (width - 2 * _TICKS) / len(panel.names) - 0.04
    both = [*panel.names, *panel.sizes]
    if max(width_of(text, SMALL) for text in both) <= room:
        lines = 2 if any(panel.sizes) else 1
        texts = [
            f"{name}\n{size}" if lines == 2 else name
            for name, size in zip(panel.names, panel.sizes, strict=True)
        ]
        return texts, 0.06 + LINE * lines, False
    joined = [
        f"{name}, {size}" if size else name
        for name, size in zip(panel.names, panel.sizes, strict=True)
    ]
    short = all_different(joined, _LONGEST, SMALL)
    return short, 0.08 + max(width_of(text, SMALL) for text in short), True


def _panel(sheet: Sheet, panel: Amounts, left: float, top: float, width: float) -> None:
    sheet.write(shortened(panel.title, width, weight="bold"), left, top + 0.08, weight="bold")
    below = top + _TITLE
    plot = below + 2 * _KEY + 0.08
    start, space = left + _TICKS, width - 2 * _TICKS
    axes = sheet.axes(start, plot, space, _PLOT)
    other = axes.twinx()
    number = len(panel.names)
    axes.set(xlim=(-0.6, number - 0.4), xticks=[])
    axes.spines["top"].set_visible(False)
    other.spines["top"].set_visible(False)
    looks: tuple[dict[str, Any], ...] = (
        {"facecolor": DARK},
        {"facecolor": LIGHT, "hatch": HATCH},
    )
    # Many bars are narrow: their points and lines keep apart.
    dot = min(2.0, 0.35 * 72 * space * _BAR / (number + 0.2))
    for at, (place, bars, title) in enumerate(
        zip((axes, other), panel.bars, panel.axes, strict=True)
    ):
        low, high = axis_of([v for b in bars for v in (b.value, b.low, b.high, *b.seeds)])
        place.set_ylim(low, high)
        ticks = ticks_of(low, high, 5)
        place.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])
        for k, bar in enumerate(bars):
            _bar(place, k + (at - 0.5) * _BAR, bar, low, dot, looks[at])
        begins = f", axis from {low:.4g} on" if low > 0 else ""
        side = ("left", "right")[at]
        words = shortened(f"{side}: {title}{begins}", width - 0.2, SMALL)
        middle = below + (at + 0.5) * _KEY
        swatch = sheet.axes(left, middle - 0.045, 0.13, 0.09)
        swatch.set_axis_off()
        swatch.add_patch(Rectangle((0, 0), 1, 1, edgecolor=INK, linewidth=0.4, **looks[at]))
        sheet.write(words, left + 0.18, middle, size=SMALL)
    texts, _, turned = _labels(panel, width)
    for k, text in enumerate(texts):
        across = start + space * (k + 0.6) / (number + 0.2)
        if turned:
            sheet.write(
                text, across, plot + _PLOT + 0.05, size=SMALL, rotation=90, va="top", ha="center"
            )
        else:
            sheet.write(
                text,
                across,
                plot + _PLOT + 0.04,
                size=SMALL,
                va="top",
                ha="center",
                linespacing=1.1,
            )


def _bar(axes: Any, at: float, bar: Bar, low: float, dot: float, look: dict[str, Any]) -> None:
    """One bar, with points of seeds so wide; where there is no result a cross is on the axis."""
    if np.isnan(bar.value):
        axes.plot([at], [low], marker="x", markersize=3, color=INK, clip_on=False)
        return
    axes.bar(at, bar.value - low, _BAR, bottom=low, edgecolor=INK, linewidth=0.4, **look)
    if not np.isnan(bar.low):
        for line in ({"color": "white", "linewidth": dot}, {"color": INK, "linewidth": 0.4 * dot}):
            axes.plot([at, at], [bar.low, bar.high], solid_capstyle="butt", **line)
    if len(bar.seeds) > 1:
        spread = np.linspace(-0.25, 0.25, len(bar.seeds)) * _BAR
        points = {"facecolor": "white", "edgecolor": INK, "linewidth": 0.25 * dot, "zorder": 3}
        axes.scatter(at + spread, bar.seeds, s=dot**2, clip_on=False, **points)
