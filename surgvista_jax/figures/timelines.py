"""The figure of videos over time: ribbons of the truth and of several models, for print."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from surgvista_jax.figures.palette import look
from surgvista_jax.figures.printed import (
    MARGIN,
    PALE,
    SMALL,
    WIDTHS,
    Sheet,
    all_different,
    shortened,
    style,
    width_of,
)

# Inches.
_ROW, _RIBBON, _TITLE, _AXIS, _GAP = 0.16, 0.12, 0.2, 0.3, 0.1
_LINE, _SWATCH = 0.15, 0.11
_TICKS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 240, 480)  # minutes, or seconds
_SHORT = 120  # seconds of a video, below which its axis is in seconds


@dataclass(frozen=True)
class Ribbon:
    """A row: (class, start, end) in seconds; `note` stands at its right end."""

    name: str
    segments: tuple[tuple[int, float, float], ...]
    note: str = ""


@dataclass(frozen=True)
class Timeline:
    """One video; `notes` says what those of its rows are."""

    title: str
    seconds: float
    rows: tuple[Ribbon, ...]
    notes: str = ""


def draw_timelines(
    videos: Sequence[Timeline], classes: Sequence[str], width: str = "single"
) -> Figure:
    """Videos below one another, each on its own axis of time, and a legend of their classes."""
    with style():
        across = WIDTHS[width]
        used = sorted({k for video in videos for row in video.rows for k, _, _ in row.segments})
        legend = _legend([classes[k] for k in used], across - 2 * MARGIN)
        heights = [_TITLE + _ROW * len(video.rows) + _AXIS for video in videos]
        height = 2 * MARGIN + sum(heights) + _GAP + _LINE * len(legend)
        sheet = Sheet(across, height)
        top = MARGIN
        for video, tall in zip(videos, heights, strict=True):
            _video(sheet, video, top)
            top += tall
        top += _GAP
        page = sheet.axes(0, 0, across, height, xlim=(0, across), ylim=(height, 0))
        page.set_axis_off()
        classes_left = iter(used)
        for line in legend:
            left, above = MARGIN, top + (_LINE - _SWATCH) / 2
            for name, room in line:
                _paint(page, next(classes_left), [(left, _SWATCH)], above, _SWATCH)
                border = Rectangle((left, above), _SWATCH, _SWATCH)
                border.set(fill=False, edgecolor=PALE, linewidth=0.3)
                page.add_patch(border)
                sheet.write(name, left + _SWATCH + 0.04, top + _LINE / 2, size=SMALL)
                left += room
            top += _LINE
        return sheet.figure


def _legend(names: Sequence[str], width: float) -> list[list[tuple[str, float]]]:
    """Lines of (name, inches that it takes with its swatch)."""
    lines: list[list[tuple[str, float]]] = [[]]
    left = 0.0
    for name in names:
        short = shortened(name, width - _SWATCH - 0.2, SMALL)
        room = _SWATCH + 0.04 + width_of(short, SMALL) + 0.12
        if lines[-1] and left + room - 0.12 > width:
            lines.append([])
            left = 0.0
        lines[-1].append((short, room))
        left += room
    return lines


def _video(sheet: Sheet, video: Timeline, top: float) -> None:
    inside = sheet.width - 2 * MARGIN
    names = min(max(width_of(row.name) for row in video.rows), 0.4 * inside)
    notes = max(width_of(row.note, SMALL) for row in video.rows)
    left = MARGIN + names + 0.06
    space = sheet.width - MARGIN - left - (notes + 0.06 if notes else 0.04)
    height = _ROW * len(video.rows)
    room = inside - (width_of(video.notes, SMALL) + 0.1 if video.notes else 0)
    title = shortened(video.title, room, weight="bold")
    sheet.write(title, MARGIN, top + 0.08, weight="bold")
    sheet.write(video.notes, sheet.width - MARGIN, top + 0.08, size=SMALL, ha="right")
    axes = sheet.axes(left, top + _TITLE, space, height)
    axes.set(xlim=(0, max(video.seconds, 1)), ylim=(len(video.rows), 0), yticks=[])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    short = all_different([row.name for row in video.rows], names)
    for at, (row, name) in enumerate(zip(video.rows, short, strict=True)):
        middle = top + _TITLE + (at + 0.5) * _ROW
        sheet.write(name, left - 0.05, middle, ha="right")
        if row.note:
            sheet.write(row.note, sheet.width - MARGIN, middle, size=SMALL, ha="right")
        of_class: dict[int, list[tuple[float, float]]] = {}
        for index, start, end in row.segments:
            of_class.setdefault(index, []).append((start, end - start))
        above = (1 - _RIBBON / _ROW) / 2
        for index, bars in of_class.items():
            _paint(axes, index, bars, at + above, _RIBBON / _ROW)
        # Its border shows how far a video goes that nobody labelled to its end.
        frame = Rectangle((0, at + above), video.seconds, _RIBBON / _ROW)
        frame.set(fill=False, edgecolor=PALE, linewidth=0.3)
        axes.add_patch(frame)
    unit, each = ("seconds", 1) if video.seconds < _SHORT else ("minutes", 60)
    whole = video.seconds / each
    fitting = max(2, int(space / 0.35))
    tick = next((t for t in _TICKS if whole / t <= fitting), _TICKS[-1])
    # What would reach over the end is left out.
    marks = [m for m in range(0, int(whole) + 1, tick) if m <= 0.97 * whole or m == 0]
    axes.set_xticks([each * m for m in marks], [str(m) for m in marks])
    sheet.write(unit, left + space / 2, top + _TITLE + height + 0.21, size=SMALL, ha="center")


def _paint(
    axes: Any, index: int, bars: Sequence[tuple[float, float]], top: float, height: float
) -> None:
    """Bars (start, length) of a class, with the bands by which it is told apart without colour."""
    painted = look(index)
    axes.broken_barh(bars, (top, height), facecolor=painted.colour, linewidth=0)
    for start, end in painted.bands:
        place = (top + start * height, (end - start) * height)
        axes.broken_barh(bars, place, facecolor=painted.ink, linewidth=0)
