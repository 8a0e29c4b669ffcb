"""What is written in a figure, and where: do texts run into each other or out of the picture?"""

import itertools

from matplotlib.figure import Figure
from matplotlib.text import Text

from surgvista_jax.figures.printed import style


def texts(figure: Figure) -> list[tuple[str, object]]:
    """Each visible text with its box, in pixels."""
    with style():
        figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent(renderer)
            found.append((text.get_text(), box))
    return found


def check_texts(figure: Figure) -> None:
    """Fails where texts overlap by more than a hair, or leave the figure."""
    hair = 0.01 * figure.dpi  # inches: rounding of boxes to pixels
    found = texts(figure)
    whole = figure.bbox
    for text, box in found:
        assert box.x0 >= whole.x0 - hair and box.x1 <= whole.x1 + hair, (text, "leaves it sideways")
        assert box.y0 >= whole.y0 - hair and box.y1 <= whole.y1 + hair, (text, "leaves it")
    for (one, a), (other, b) in itertools.combinations(found, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= hair or high <= hair, (one, other, "overlap")
