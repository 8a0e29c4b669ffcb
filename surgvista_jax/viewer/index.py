"""The page that lists the pages of several videos, each with its ribbon."""

from collections.abc import Sequence
from html import escape

import numpy as np

from surgvista_jax.figures.palette import look
from surgvista_jax.predictions.times import moment
from surgvista_jax.viewer.operation import Operation, runs
from surgvista_jax.viewer.page import document

_HEIGHT = 26  # of a ribbon, as in the style sheet
_COLUMNS = 1600  # of the longest


def index_page(operations: Sequence[Operation], addresses: Sequence[str]) -> str:
    """The index as one HTML file.

    Args:
        addresses: of each operation's page, relative to this one.
    """
    longest = max(operation.duration for operation in operations)
    first = operations[0]
    items = "".join(
        f'<li><a class="card" href="{escape(address)}"><b>{escape(operation.video)}</b> '
        f'<span class="soft">{moment(operation.duration)}</span>'
        f"{_damage(operation)}{_ribbon(operation, longest)}</a></li>"
        for operation, address in zip(operations, addresses, strict=True)
    )
    one_label = first.said.held is None
    named = "".join(
        f"<span>{_legend(k)}{escape(name)}</span>" for k, name in enumerate(first.classes)
    )
    words = f"{len(operations)} videos"
    if first.said.name:
        words += f" by {escape(first.said.name)}"
    body = (
        f'<div id="page"><header><div><h1>{words}</h1><p class="soft">The longest fills the width. '
        "Choose one to look at it.</p></div></header>"
        + (f'<div class="legend">{named}</div>' if one_label else "")
        + f'<ul class="videos">{items}</ul></div>'
    )
    return document(f"{len(operations)} videos", body)


def _damage(operation: Operation) -> str:
    return "".join(
        f'<p class="damage">Not all of the video could be read: {escape(text)}</p>'
        for text in operation.damage
    )


def _ribbon(operation: Operation, longest: float) -> str:
    """The labels over time, in columns, of which a page of any flickering labels stays small."""
    if operation.said.held is not None:
        return ""
    middle = (np.arange(_COLUMNS) + 0.5) * longest / _COLUMNS
    at = np.searchsorted(operation.seconds, middle, side="right") - 1
    there = (at >= 0) & (middle < operation.ends[at])
    label = np.where(there, operation.said.label[at], -1)
    stretches: dict[int, list[tuple[int, int]]] = {}
    for value, first, count in runs(label):
        stretches.setdefault(value, []).append((first, count))
    parts = []
    for value in sorted(stretches.keys() - {-1}):
        shown = look(value)
        bands = [(0.0, 1.0, shown.colour), *((*band, shown.ink) for band in shown.bands)]
        paths = "".join(
            f'<path fill="{colour}" d="'
            + "".join(
                f"M{first} {_HEIGHT * start:.1f}h{count}v{_HEIGHT * (end - start):.1f}h-{count}z"
                for first, count in stretches[value]
            )
            + '"/>'
            for start, end, colour in bands
        )
        parts.append(f"<g><title>{escape(operation.classes[value])}</title>{paths}</g>")
    return (
        f'<svg role="img" aria-label="its phases over time" viewBox="0 0 {_COLUMNS} {_HEIGHT}" '
        f'preserveAspectRatio="none">{"".join(parts)}</svg>'
    )


def _legend(label: int) -> str:
    shown = look(label)
    parts = [f'<rect width="16" height="16" fill="{shown.colour}"/>']
    for start, end in shown.bands:
        height = f"{16 * (end - start):.1f}"
        parts.append(
            f'<rect width="16" y="{16 * start:.1f}" height="{height}" fill="{shown.ink}"/>'
        )
    return f'<svg viewBox="0 0 16 16">{"".join(parts)}</svg>'
