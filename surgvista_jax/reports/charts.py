"""The pictures of a report, as SVG that needs no script and fits any width.

Horizontal positions are percentages of the picture's width, so that text keeps its size on a phone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

MAX_STACK = 20  # dots above each other
PHONE_LINE = 42  # letters that fit beside each other on a phone


def _at(fraction: float) -> str:
    return f"{100 * min(max(fraction, 0.0), 1.0):.2f}%"


@dataclass(frozen=True)
class Scale:
    """One axis for all marks of a picture: points, ends of intervals, ticks."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Where a value lies, from 0 to 1."""
        return (value - self.low) / max(self.high - self.low, 1e-9)

    def place(self, value: float) -> str:
        return _at(self.share(value))


def scale_of(rows: Iterable[dict], bounds: tuple[float, float], zero: bool = False) -> Scale:
    """A scale on which points and intervals lie, with some room around, but within the bounds.

    A point may lie outside its interval: drawing videos with replacement shifts some scores.

    Args:
        rows: {value, low, high} each; None where there is none.
        zero: whether it holds 0.
    """
    ends = [row[key] for row in rows for key in ("value", "low", "high")]
    known = [end for end in ends if end is not None] + [0.0] * zero or [*bounds]
    low, high = min(known), max(known)
    room = 0.05 * (high - low) or 0.05 * (bounds[1] - bounds[0])
    return Scale(max(low - room, min(bounds[0], low)), min(high + room, max(bounds[1], high)))


def _svg(height: float, body: str, label: str) -> str:
    return (
        f'<svg class="chart" width="100%" height="{height:g}" role="img" '
        f'aria-label="{escape(label)}">{body}</svg>'
    )


def interval_bar(value: float, low: float | None, high: float | None, label: str) -> str:
    """A value on an axis from 0 to 1 with its interval."""
    body = '<rect x="0" y="7" width="100%" height="4" rx="2" class="track"/>'
    if low is not None and high is not None:
        body += (
            f'<rect x="{_at(low)}" y="2" width="{_at(high - low)}" height="14" rx="3" '
            'class="interval"/>'
        )
    body += f'<line x1="{_at(value)}" x2="{_at(value)}" y1="1" y2="17" class="tick"/>'
    return _svg(18, body, label)


def dots(names: Sequence[str], values: Sequence[float], low: float, label: str) -> str:
    """One dot a video on an axis from `low` to 1; dots that would hide each other are stacked.

    Empty where they would pile up beyond reading, as clips that are either right or wrong do.
    """
    scale = Scale(low, 1.0)
    taken: list[list[float]] = []
    marks = []
    for value, name in sorted(zip(values, names, strict=True)):
        place = scale.share(value)
        row = next((k for k, places in enumerate(taken) if place - places[-1] > 0.028), len(taken))
        if row == len(taken):
            taken.append([])
        taken[row].append(place)
        marks.append((place, row, f"{name}: {100 * value:.2f} %"))
    if len(taken) > MAX_STACK:
        return ""
    height = 14 * max(len(taken), 1) + 8
    body = ""
    for tick in range(5):
        share = tick / 4
        body += f'<line x1="{_at(share)}" x2="{_at(share)}" y1="0" y2="{height}" class="grid"/>'
        anchor = "start" if tick == 0 else "end" if tick == 4 else "middle"
        body += (
            f'<text x="{_at(share)}" y="{height + 16}" text-anchor="{anchor}">'
            f"{100 * (low + (1 - low) * share):.0f}</text>"
        )
    for place, row, text in marks:
        body += (
            f'<circle cx="{_at(place)}" cy="{height - 10 - 14 * row}" r="5" '
            f'class="dot"><title>{escape(text)}</title></circle>'
        )
    return _svg(height + 22, body, label)


def forest(rows: Sequence[tuple[str, dict, str]], scale: Scale, ends: tuple[str, str]) -> str:
    """Intervals below each other on one scale, whose ends `ends` writes out.

    Args:
        rows: (name, {value, low, high}, text) each.
    """
    # Where a phone cannot show a name and its text side by side, all rows have a line for each.
    tall = any(len(name) + len(text) > PHONE_LINE for name, _, text in rows)
    pitch = 56 if tall else 40
    height = pitch * len(rows)
    body = ""
    marks = [(0.0, "start", ends[0]), (1.0, "end", ends[1])]
    crosses = scale.low < 0 < scale.high
    if crosses:
        at = scale.share(0)
        marks = [mark for mark in marks if abs(mark[0] - at) > 0.2] + [(at, "middle", "0")]
    for share, anchor, text in marks:
        body += f'<text x="{_at(share)}" y="{height + 12}" text-anchor="{anchor}">{text}</text>'
    for number, (name, found, text) in enumerate(rows):
        body += f'<text x="0" y="{pitch * number + 14}">{escape(name)}</text>'
        y = pitch * number + 16 * tall
        body += f'<text x="100%" y="{y + 14}" text-anchor="end">{escape(text)}</text>'
        body += f'<line x1="0" x2="100%" y1="{y + 26}" y2="{y + 26}" class="grid"/>'
        if crosses:
            zero = scale.place(0)
            body += f'<line x1="{zero}" x2="{zero}" y1="{y + 18}" y2="{y + 34}" class="zero"/>'
        if found["low"] is not None:
            body += (
                f'<line x1="{scale.place(found["low"])}" x2="{scale.place(found["high"])}" '
                f'y1="{y + 26}" y2="{y + 26}" class="whisker"/>'
            )
        if found["value"] is not None:
            body += (
                f'<circle cx="{scale.place(found["value"])}" cy="{y + 26}" r="5" class="point"/>'
            )
    return _svg(height + 18, body, "values with 95 % intervals")


def reliability(bins: Sequence[Sequence[float]]) -> str:
    """Accuracy against confidence; a calibrated model lies on the diagonal."""
    most = max(row[0] for row in bins)
    body = '<rect x="34" y="6" width="220" height="220" class="frame"/>'
    width = 220 / len(bins)
    for index, (frames, confidence, right) in enumerate(bins):
        if not frames:
            continue
        height = 220 * right / frames
        body += (
            f'<rect x="{34 + index * width + 1:.1f}" y="{226 - height:.1f}" '
            f'width="{width - 2:.1f}" height="{height:.1f}" class="interval" '
            f'opacity="{0.35 + 0.65 * frames / most:.2f}">'
            f"<title>confidence {100 * confidence / frames:.1f} %, right {100 * right / frames:.1f}"
            f" %, {frames:.0f} frames</title></rect>"
        )
    body += '<line x1="34" y1="226" x2="254" y2="6" class="zero"/>'
    for share in (0, 50, 100):
        body += f'<text x="28" y="{230 - 2.2 * share:.0f}" text-anchor="end">{share}</text>'
        body += f'<text x="{34 + 2.2 * share:.0f}" y="244" text-anchor="middle">{share}</text>'
    body += '<text x="144" y="262" text-anchor="middle">confidence (%)</text>'
    return (
        '<svg class="chart" viewBox="0 0 274 268" width="274" height="268" role="img" '
        f'aria-label="reliability diagram: share right by confidence">{body}</svg>'
    )
