"""The figure of a comparison: a bar for each model, points of its seeds, marks of significance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from surgvista_jax.figures.printed import (
    DARK,
    INK,
    LIGHT,
    PALE,
    SMALL,
    Sheet,
    all_different,
    draw_panels,
    shortened,
    width_of,
)

LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
# Inches.
_ROW, _TITLE, _AXIS = 0.145, 0.2, 0.36
_BAR = 0.72  # of a row
_FLOOR = 0.5  # of the axis, above which all values have to lie for it not to begin at 0


@dataclass(frozen=True)
class Bar:
    """One model.

    Attributes:
        value: as it is written; NaN where there is no result.
        low, high: its interval; NaN where there is none.
        seeds: a value each, shown as points.
        p_value: that the model it is compared with is not better, adjusted; NaN where not tested.
        ours: whether it is drawn dark.
    """

    name: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    seeds: tuple[float, ...] = ()
    p_value: float = float("nan")
    ours: bool = False


@dataclass(frozen=True)
class Panel:
    """What is compared with one another."""

    title: str
    axis: str
    bars: tuple[Bar, ...]
    decimals: int = 1


def mark(p_value: float) -> str:
    """Stars of a p-value; "n.s." of one above all levels, nothing where there is no test."""
    if np.isnan(p_value):
        return ""
    return next((stars for level, stars in LEVELS if p_value < level), "n.s.")


def draw_comparison(panels: Sequence[Panel], note: str, width: str = "single") -> Figure:
    """Panels beside and below one another, in a column's width.

    Args:
        note: what intervals, points and stars are; written below.
        width: one of `printed.WIDTHS`.
    """
    return draw_panels(panels, _tall, _panel, note, width)


def _tall(panel: Panel, width: float) -> float:
    return _TITLE + _AXIS + _ROW * len(panel.bars)


def axis_of(values: Sequence[float]) -> tuple[float, float]:
    """Where an axis begins and ends that holds these values (NaN are left out).

    It begins at 0 unless all lie in the upper half of what it would then show.
    """
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    if low < 0:
        return low - 0.08 * (high - low), max(high, 0.0) + 0.08 * (high - low)
    if low <= _FLOOR * high:
        return 0.0, 1.04 * high or 1.0
    room = 0.3 * (high - low) or 0.1 * high
    step = 10.0 ** np.floor(np.log10(room)) / 2
    return max(float(np.floor((low - room) / step)) * step, 0.0), high + 0.12 * room


def ticks_of(low: float, high: float, most: int) -> list[float]:
    """Round numbers along an axis of `axis_of`, at most so many, and where it begins.

    One at its very end would reach over it, and one near the beginning into that number.
    """
    room = 0.6 * (high - low) / most
    ticks = MaxNLocator(nbins=most).tick_values(low, high)
    inside = [float(t) for t in ticks if low + room < t <= high - 0.02 * (high - low)]
    return inside if low < 0 else [low, *inside]


def _panel(sheet: Sheet, panel: Panel, left: float, top: float, width: float) -> None:
    bars = panel.bars
    words = ["" if np.isnan(bar.value) else f"{bar.value:.{panel.decimals}f}" for bar in bars]
    marks = ["" if np.isnan(bar.value) else mark(bar.p_value) for bar in bars]
    numbers = max(width_of(word) for word in words)
    stars = max(width_of(text, SMALL) for text in marks)
    names = min(max(width_of(bar.name) for bar in bars), 0.38 * width)
    short = all_different([bar.name for bar in bars], names)
    right = numbers + (stars + 0.05 if stars else 0)
    start = left + names + 0.06
    space = left + width - right - 0.06 - start
    height = _ROW * len(bars)
    sheet.write(shortened(panel.title, width, weight="bold"), left, top + 0.08, weight="bold")
    axes = sheet.axes(start, top + _TITLE, space, height)
    shown = [v for bar in bars for v in (bar.value, bar.low, bar.high, *bar.seeds)]
    low, high = axis_of(shown)
    axes.set(xlim=(low, high), ylim=(len(bars) - 0.5, -0.5), yticks=[])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    ticks = ticks_of(low, high, max(2, int(space / 0.4)))
    axes.set_xticks(ticks, [f"{tick:.4g}" for tick in ticks])
    begins = f", from {low:.4g} on" if low > 0 else ""
    label = shortened(f"{panel.axis}{begins}", width - 0.02, SMALL)
    half = width_of(label, SMALL) / 2
    middle = min(max(start + space / 2, left + half), left + width - half)
    sheet.write(label, middle, top + _TITLE + height + 0.25, size=SMALL, ha="center")
    for at, (bar, name, word, stars_of) in enumerate(zip(bars, short, words, marks, strict=True)):
        middle = top + _TITLE + (at + 0.5) * _ROW
        sheet.write(name, start - 0.05, middle, ha="right")
        if np.isnan(bar.value):
            sheet.write("no result", start + 0.04, middle, size=SMALL, color=PALE)
            continue
        sheet.write(word, start + space + 0.06 + numbers, middle, ha="right")
        if stars_of:
            sheet.write(stars_of, start + space + 0.11 + numbers, middle, size=SMALL)
        face = DARK if bar.ours else LIGHT
        axes.barh(at, bar.value - low, _BAR, left=low, color=face, edgecolor=INK, linewidth=0.4)
        if not np.isnan(bar.low):
            if bar.ours:  # a light rim keeps the line visible on the dark bar
                rim = {"color": "white", "linewidth": 2.0}
                axes.plot([bar.low, bar.high], [at, at], solid_capstyle="butt", **rim)
            axes.plot([bar.low, bar.high], [at, at], color=INK, solid_capstyle="butt")
        if len(bar.seeds) > 1:
            spread = np.linspace(-0.22, 0.22, len(bar.seeds))
            points = {"facecolor": "white", "edgecolor": INK, "linewidth": 0.5, "zorder": 3}
            axes.scatter(bar.seeds, at + spread, s=5, clip_on=False, **points)
