"""How figures for print look and are saved: a journal's columns, one size of letters, PDF and PNG.

Nothing in a file depends on when or where it was drawn, so that the same numbers give the same
bytes. Letters of a PDF stay letters (fonts of type 42), lines stay lines.
"""

import argparse
import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from surgvista_jax.errors import UserError
from surgvista_jax.ownership import Ownership, add_overwrite, in_folder
from surgvista_jax.writing import Guard, replacing_all

# Inches: one column and two of Nature's journals (89 and 183 mm), nearly those of others.
WIDTHS = {"single": 89 / 25.4, "double": 183 / 25.4}
SUFFIXES = (".pdf", ".png")
MARGIN, LINE = 0.06, 0.115  # inches: around a figure, and of a line of its note
_GAP = 0.14  # inches between panels
TEXT, SMALL = 7.0, 6.0  # points
DARK, MIDDLE, LIGHT, INK, PALE = "#1f4e6e", "#7aa6c2", "#d3dfe8", "#1c2430", "#5b6675"
HATCH = "////"  # of a second kind of bars, told apart without colour
_DPI = 300
Panel = TypeVar("Panel")
_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that it is the same everywhere
    "font.size": TEXT,
    "text.color": INK,
    "text.parse_math": False,  # names are not formulas, whatever dollar signs they hold
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.5,
    "axes.unicode_minus": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "hatch.linewidth": 0.4,
    "lines.linewidth": 0.8,
    "pdf.fonttype": 42,
    "svg.hashsalt": "surgvista",
    "image.interpolation": "none",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Inside, figures are drawn and saved as described above."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A name in letters that the font lacks is drawn with boxes in their place.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def add_output(parser: argparse.ArgumentParser, width: str = "single") -> None:
    """Adds the options by which a command says where its figure goes and how wide it is."""
    parser.add_argument(
        "--out", required=True, type=Path, help="NAME.pdf, NAME.png, or NAME for both"
    )
    parser.add_argument(
        "--width",
        choices=WIDTHS,
        default=width,
        help="one column of a journal, or two [%(default)s]",
    )
    add_overwrite(parser)


def owned_output(arguments: argparse.Namespace) -> Ownership:
    """The ownership of the figure's files, checked before it is drawn.

    Raises:
        UserError: the name has another ending, or what is there may not be replaced.
    """
    owned = in_folder(arguments.out.parent, arguments.overwrite)
    owned.check(outputs(arguments.out))
    return owned


class Sheet:
    """A figure whose positions are inches from its top left corner.

    Args:
        width, height: inches.
    """

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.figure = Figure((width, height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float, **style: Any) -> Any:
        """Axes of a place."""
        bottom = self.height - top - height
        place = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(place, **style)

    def write_lines(self, lines: Sequence[str], top: float) -> None:
        """A note: small, pale lines from the left margin on."""
        for at, line in enumerate(lines):
            self.write(line, MARGIN, top + (at + 0.5) * LINE, size=SMALL, color=PALE)

    def write(self, text: str, left: float, middle: float, **style: Any) -> None:
        """One line of text, by default from its left end on."""
        style = {"va": "center", "size": TEXT, **style}
        self.figure.text(left / self.width, 1 - middle / self.height, text, **style)


def draw_panels(
    panels: Sequence[Panel],
    tall: Callable[[Panel, float], float],
    draw: Callable[[Sheet, Panel, float, float, float], None],
    note: str,
    width: str,
) -> Figure:
    """Panels beside and below one another, and a note below them all.

    Args:
        tall: inches of a panel's height at a width.
        draw: draws one on a sheet, at left, top and of a width.
        width: one of WIDTHS; each panel has a single column.
    """
    with style():
        across = WIDTHS[width]
        columns = min(len(panels), max(1, int(across // WIDTHS["single"])))
        each = (across - 2 * MARGIN - (columns - 1) * _GAP) / columns
        rows = [panels[at : at + columns] for at in range(0, len(panels), columns)]
        heights = [max(tall(panel, each) for panel in row) + _GAP for row in rows]
        lines = wrapped(note, across - 2 * MARGIN)
        sheet = Sheet(across, 2 * MARGIN + sum(heights) + LINE * len(lines))
        top = MARGIN
        for row, high in zip(rows, heights, strict=True):
            for column, panel in enumerate(row):
                draw(sheet, panel, MARGIN + column * (each + _GAP), top, each)
            top += high
        sheet.write_lines(lines, top)
        return sheet.figure


def save(figure: Figure, path: Path, guard: Guard | None = None) -> list[Path]:
    """Writes a figure as PDF or PNG, or, where the name has neither ending, as both.

    Raises:
        UserError: a file cannot be written, or what is there may not be replaced.
    """
    paths = outputs(path)
    with style(), replacing_all(paths, guard) as asides:
        for aside in asides:
            kind = aside.suffix.lower()[1:]
            about = {"CreationDate": None} if kind == "pdf" else {"Software": None}
            figure.savefig(aside, format=kind, dpi=_DPI, metadata=about)
    return paths


def outputs(path: Path) -> list[Path]:
    """The files that a name means: itself, or without an ending a PDF and a PNG.

    Raises:
        UserError: it has another ending.
    """
    if path.suffix.lower() in SUFFIXES:
        return [path]
    if path.suffix.lower() in (".svg", ".jpg", ".jpeg", ".eps", ".tif", ".tiff", ".gif"):
        raise UserError(f"--out={path}: a figure is {' or '.join(SUFFIXES)}; without, it is both")
    return [path.with_name(path.name + suffix) for suffix in SUFFIXES]


@functools.lru_cache(maxsize=4096)
def width_of(text: str, size: float = TEXT, weight: str = "normal") -> float:
    """Inches that a line of text takes."""
    font = FontProperties(family=_STYLE["font.family"], size=size, weight=weight)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        return _renderer().get_text_width_height_descent(text, font, ismath=False)[0] / _DPI


def shortened(text: str, width: float, size: float = TEXT, weight: str = "normal") -> str:
    """The text, or as much of its beginning and its end as fits into so many inches."""
    if width_of(text, size, weight) <= width:
        return text

    def cut(kept: int) -> str:
        head = (kept + 1) // 2
        return f"{text[:head]}…{text[len(text) - (kept - head) :]}"

    # All up to `fits` letters fit, none from `not_fits` on: letters differ in width, but a text of
    # more of them is hardly ever narrower.
    fits, not_fits = 0, len(text)
    while not_fits - fits > 1:
        middle = (fits + not_fits) // 2
        if width_of(cut(middle), size, weight) <= width:
            fits = middle
        else:
            not_fits = middle
    return cut(fits) if fits else text[:1]


def all_different(texts: Sequence[str], width: float, size: float = TEXT) -> list[str]:
    """The texts, each shortened to a width, with a number where shortening makes them alike."""
    short = [shortened(text, width, size) for text in texts]
    alike = {text for text in short if short.count(text) > 1}
    for at, text in enumerate(texts):
        if short[at] in alike and texts.count(text) == 1:
            mark = f" ({at + 1})"
            short[at] = shortened(text, width - width_of(mark, size), size) + mark
    return short


def wrapped(text: str, width: float, size: float = SMALL) -> list[str]:
    """Lines of at most so many inches, broken at plain spaces; a longer word is shortened."""
    space = width_of("n n", size) - width_of("nn", size)
    lines: list[list[str]] = [[]]
    left = width
    for word in text.split(" "):  # not at spaces that do not break
        fitting = shortened(word, width, size)
        wide = width_of(fitting, size)
        if lines[-1] and wide > left:
            lines.append([])
            left = width
        lines[-1].append(fitting)
        left -= wide + space
    return [" ".join(line) for line in lines]


@functools.lru_cache(maxsize=1)
def _renderer() -> Any:
    return FigureCanvasAgg(Figure(dpi=_DPI)).get_renderer()
