"""The page that lists the pages of several videos, each with its ribbon."""

from collections.abc import Sequence
from html import escape

from surgvista_jax.figures.palette import look
from surgvista_jax.predictions.times import moment
from surgvista_jax.viewer.operation import Operation, segments
from surgvista_jax.viewer.page import document

_HEIGHT = 26  # of a ribbon, as in the style sheet


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
        f"{_ribbon(operation, longest)}</a></li>"
        for operation, address in zip(operations, addresses, strict=True)
    )
    one_label = first.said.held is None
    named = "".join(
        f'<span><svg viewBox="0 0 16 16">{_rectangle(k, "0", "16", 16)}</svg>{escape(name)}</span>'
        for k, name in enumerate(first.classes)
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


def _ribbon(operation: Operation, longest: float) -> str:
    if operation.said.held is not None:
        return ""
    parts = []
    for start, end, label in segments(operation, operation.said.label):
        x, width = f"{100 * start / longest:.3f}%", f"{100 * (end - start) / longest:.3f}%"
        title = f"<title>{escape(operation.classes[label])}</title>"
        parts.append(f"<g>{title}{_rectangle(label, x, width, _HEIGHT)}</g>")
    return f'<svg role="img" aria-label="its phases over time">{"".join(parts)}</svg>'


def _rectangle(label: int, x: str, width: str, height: int) -> str:
    shown = look(label)
    parts = [f'<rect x="{x}" width="{width}" y="0" height="{height}" fill="{shown.colour}"/>']
    for start, end in shown.bands:
        parts.append(
            f'<rect x="{x}" width="{width}" y="{start * height:.1f}" '
            f'height="{(end - start) * height:.1f}" fill="{shown.ink}"/>'
        )
    return "".join(parts)
