"""The course of every video on the page: ribbons of truth and of each model over its time.

A ribbon is one path a class, stroked across its height: some 10 bytes a segment, without a script.
The classes' gradients are vertical, so that they bear being stretched to any width.
"""

from collections.abc import Sequence
from html import escape

from surgvista_jax.figures.palette import look
from surgvista_jax.predictions.times import moment
from surgvista_jax.reports.ribbons import segments
from surgvista_jax.reports.words import clock, number

OPEN = 12  # videos that are shown without being asked for, the worst first
_TICKS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)  # seconds
_MOST_TICKS = 7
_MOST_SEGMENTS = 2000  # of a ribbon, more than a screen has columns
_HEIGHT, _LANE = 20, 8  # of a ribbon and of a part of a lane, in pixels


def ribbon_section(ribbons: dict) -> str:
    """All videos, the worst first; those after the first few are folded."""
    several = any("lanes" in item for item in ribbons["items"])
    items = sorted(ribbons["items"], key=lambda item: (item["value"] is None, item["value"] or 0.0))
    models = ribbons["systems"]
    if several:
        parts = [_key_of_lanes(models)]
    else:
        bars = [bar for item in items for text in _texts(item) for bar in segments(text)]
        used = sorted({bar[0] for bar in bars})
        parts = [_looks(used), _key(used, ribbons["classes"])]
    words = "Below: the time from the start of the video. Nothing is drawn where there is no label."
    if ribbons["score"] and len(items) > 1:
        words = f"Ranked by {ribbons['score']}, the lowest first. {words}"
    parts.append(f'<p class="soft">{escape(words)}</p>')
    figures = [_figure(item, ribbons, several) for item in items]
    parts += figures[:OPEN]
    rest = figures[OPEN:]
    if rest:
        videos = "video" if len(rest) == 1 else f"{len(rest)} videos"
        parts.append(f"<details><summary>The other {videos}</summary>{''.join(rest)}</details>")
    return "".join(parts)


def _texts(item: dict) -> list[str]:
    return [item["truth"], *item["systems"]]


def _figure(item: dict, ribbons: dict, several: bool) -> str:
    value = "" if item["value"] is None else f"<span>{number(item['value'])} %</span>"
    caption = f"<figcaption><b>{escape(item['video'])}</b>{value}</figcaption>"
    steps, names = item["steps"], ["Truth", *ribbons["systems"]]
    rows = ""
    if several:
        for lane in item["lanes"]:
            name = ribbons["classes"][lane["class"]]
            rows += _label(name) + _lane(lane, steps, names)
    else:
        for name, text in zip(names, _texts(item), strict=True):
            rows += _label(name) + _ribbon(text, steps, ribbons["classes"], name)
    rows += f"<i></i>{_axis(steps * ribbons['step'])}"
    more = ""
    if several and item["not_shown"]:
        more = f'<p class="soft">{item["not_shown"]} rarer classes are not shown.</p>'
    return f'<figure class="course">{caption}<div class="rows">{rows}</div>{more}</figure>'


def _label(name: str) -> str:
    return f'<span title="{escape(name)}">{escape(name)}</span>'


def _svg(kind: str, steps: int, height: int, body: str, label: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {steps} {height}" preserveAspectRatio="none" '
        f'style="height:{height}px" role="img" aria-label="{escape(label)}">{body}</svg>'
    )


def _ribbon(text: str, steps: int, classes: Sequence[str], name: str) -> str:
    of_class: dict[int, list[tuple[int, int]]] = {}
    for index, start, end in _thinned(segments(text), steps):
        of_class.setdefault(index, []).append((start, end))
    body = "".join(
        f'<path class="k{index}" d="{_path(bars, _HEIGHT // 2)}"><title>{escape(classes[index])}'
        "</title></path>"
        for index, bars in sorted(of_class.items())
    )
    return _svg("ribbon", steps, _HEIGHT, body, f"{name} over time")


def _lane(lane: dict, steps: int, names: Sequence[str]) -> str:
    texts, body = _texts(lane), ""
    for row, text in enumerate(texts):
        bars = [(start, end) for value, start, end in _thinned(segments(text), steps) if value]
        if bars:
            path = _path(bars, _LANE * row + _LANE // 2)
            title = f"<title>{escape(names[row])}</title>"
            body += f'<path class="s{min(row, 4)}" d="{path}">{title}</path>'
    return _svg("ribbon lane", steps, _LANE * len(texts), body, "truth and models over time")


def _thinned(bars: list[tuple[int, int, int]], steps: int) -> list[tuple[int, int, int]]:
    """The bars, or of too many those that hold in the middle of so many columns."""
    if len(bars) <= _MOST_SEGMENTS:
        return bars
    width = -(-steps // _MOST_SEGMENTS)
    found: list[tuple[int, int, int]] = []
    rest = iter(bars)
    index, start, end = next(rest)
    for column in range(0, steps, width):
        middle = min(column + width // 2, steps - 1)
        while end <= middle and (following := next(rest, None)) is not None:
            index, start, end = following
        if start <= middle < end:
            last = min(column + width, steps)
            if found and found[-1][0] == index and found[-1][2] == column:
                found[-1] = (index, found[-1][1], last)
            else:
                found.append((index, column, last))
    return found


def _path(bars: Sequence[tuple[int, int]], y: int) -> str:
    """A line along each bar, written as moves from one to the next."""
    parts: list[str] = []
    at = 0
    for start, end in bars:
        parts.append(f"m{start - at} 0h{end - start}" if parts else f"M{start} {y}h{end - start}")
        at = end
    return "".join(parts)


def _axis(seconds: float) -> str:
    """Times below the ribbons; the last one is the end."""
    tick = next((t for t in _TICKS if seconds / t <= _MOST_TICKS), _TICKS[-1])
    write = moment if tick % 60 else clock  # "0:01" beside seconds would be read as one of them
    body = ""
    for at in range(tick, int(seconds) + 1, tick):
        place = f"{100 * at / seconds:.2f}%"
        body += f'<line x1="{place}" x2="{place}" y2="4"/>'
        if 0.13 < at / seconds < 0.82:  # else it would run into an end's time on a phone
            body += f'<text x="{place}" y="15">{write(at)}</text>'
    ends = f'<text y="15" class="start">{write(0)}</text><text x="100%" y="15" class="end">'
    return f'<svg class="axis" aria-hidden="true">{ends}{write(seconds)}</text>{body}</svg>'


def _looks(used: Sequence[int]) -> str:
    """The gradients and styles of the classes that occur."""
    gradients, styles = "", ""
    for index in used:
        stops = look(index).stops
        gradients += (
            f'<linearGradient id="k{index}" gradientUnits="userSpaceOnUse" x1="0" y1="0" x2="0" '
            f'y2="{_HEIGHT}">'
            + "".join(f'<stop offset="{at:g}" stop-color="{colour}"/>' for at, colour in stops)
            + "</linearGradient>"
        )
        painted = ",".join(f"{colour} {100 * at:g}%" for at, colour in stops)
        styles += f".k{index}{{stroke:url(#k{index});background:linear-gradient({painted})}}\n"
    return (
        f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>{gradients}'
        f"</defs></svg><style>\n{styles}</style>"
    )


def _key(used: Sequence[int], classes: Sequence[str]) -> str:
    items = "".join(
        f'<span><i class="k{index}"></i>{escape(classes[index])}</span>' for index in used
    )
    return f'<div class="legend sticky">{items}</div>'


def _key_of_lanes(models: Sequence[str]) -> str:
    items = "".join(
        f'<span><i class="s{min(row, 4)}"></i>{escape(name)}</span>'
        for row, name in enumerate(["Truth", *models])
    )
    return f'<div class="legend sticky">{items}</div>'
