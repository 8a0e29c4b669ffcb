"""The figure of distillation: one clip rebuilt with and without a teacher, errors on one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from surgvista_jax.figures.denormalise import assemble, denormalise, squared_errors
from surgvista_jax.figures.printed import (
    HATCH,
    LINE,
    MARGIN,
    PALE,
    SMALL,
    WIDTHS,
    Sheet,
    shortened,
    style,
    width_of,
    wrapped,
)
from surgvista_jax.figures.reconstruction_sheet import ERROR_COLOURS, ERROR_SCALE, HIDDEN
from surgvista_jax.models.patches import patchify

COLUMNS = {"single": 4, "double": 8}
_COLOURS = ERROR_COLOURS.with_extremes(bad=(0, 0, 0, 0))
# Inches.
_GAP, _NUMBERS, _RIGHT = 0.03, 0.14, 0.36


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """What one student says of the clip.

    Attributes:
        name: of its row.
        predicted: [1, M, P] of the hidden patches.
        statistics: what undoes the normalisation; see `denormalise`.
        plain: whether its pixels were not normalised.
    """

    name: str
    predicted: np.ndarray
    statistics: str
    plain: bool = False


def draw_distillation(
    batch: Mapping[str, np.ndarray],
    students: Sequence[Rebuilt],
    grid: tuple[int, int, int],
    note: str,
    *,
    tubelet: int,
    patch: int,
    frame_ids: Sequence[int],
    width: str = "double",
) -> Figure:
    """A clip, what the students see of it, and for each what it rebuilds and how wrong that is.

    Args:
        batch: `video` uint8 [1, T, H, W, 3], `visible_ids` [1, V], `hidden_ids` [1, M].
        note: written below, before what the rows are.
        frame_ids: numbers of the T frames.
    """
    video, hidden_ids = batch["video"], batch["hidden_ids"]
    patches = patchify(video, tubelet, patch)

    def filled(hidden: np.ndarray | np.float32) -> np.ndarray:
        return assemble(hidden, patches, hidden_ids, grid, tubelet, patch)

    hidden = (filled(np.float32(1)) != filled(np.float32(0)))[..., 0]  # [1, T, H, W]
    rows: list[tuple[list[str], np.ndarray]] = [
        (["original"], video[0]),
        (["input"], filled(HIDDEN)[0]),
    ]
    for student in students:
        pixels = denormalise(
            student.predicted, patches, batch["visible_ids"], hidden_ids, grid, student.statistics
        )
        rebuilt = filled(pixels)
        error = np.abs(rebuilt.astype(np.float32) - video).mean(-1) / 255
        masked = np.ma.masked_array(error, ~hidden)
        squared, _ = squared_errors(student.predicted, patches, hidden_ids, student.plain)
        rows.append(([student.name], rebuilt[0]))
        rows.append((["error", f"mean {masked.mean():.3f}", f"MSE {squared:.3f}"], masked[0]))
    told = (
        f"{note} Reconstructions: hidden patches predicted, visible ones copied. Error: absolute "
        "difference of hidden pixels from the original, of a range of 1, mean over colours; "
        "visible patches hatched. MSE: of the normalised pixels that are learnt."
    )
    with style():
        return _lay_out(rows, told, frame_ids, width)


def _lay_out(
    rows: Sequence[tuple[list[str], np.ndarray]], note: str, frame_ids: Sequence[int], width: str
) -> Figure:
    across = WIDTHS[width]
    frames, high, wide = rows[0][1].shape[:3]
    number = min(COLUMNS[width], frames)
    columns = np.linspace(0, frames - 1, number).round().astype(int)
    words = max(width_of(line, SMALL) for lines, _ in rows for line in lines)
    left = MARGIN + min(words, 0.2 * across) + 0.06
    each = (across - left - _RIGHT - MARGIN - _GAP * (number - 1)) / number
    tall = each * high / wide
    lines = wrapped(note, across - 2 * MARGIN)
    height = 2 * MARGIN + _NUMBERS + len(rows) * (tall + _GAP) + 0.08 + LINE * len(lines)
    sheet = Sheet(across, height)
    top = MARGIN
    sheet.write("frame", left - 0.06, top + _NUMBERS / 2, size=SMALL, color=PALE, ha="right")
    for place, column in enumerate(columns):
        middle = left + place * (each + _GAP) + each / 2
        text = shortened(str(frame_ids[column]), each, SMALL)
        sheet.write(text, middle, top + _NUMBERS / 2, size=SMALL, color=PALE, ha="center")
    top += _NUMBERS
    for names, pictures in rows:
        label = [line for name in names for line in wrapped(name, left - MARGIN - 0.05)]
        fitting = label[: max(1, int(tall / LINE))]
        for at, text in enumerate(fitting):
            middle = top + tall / 2 + (at - (len(fitting) - 1) / 2) * LINE
            sheet.write(text, left - 0.06, middle, size=SMALL, ha="right")
        for place, column in enumerate(columns):
            axes = sheet.axes(left + place * (each + _GAP), top, each, tall)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if pictures.ndim == 3:  # an error map, clear where nothing was hidden
                axes.patch.set(hatch=2 * HATCH, edgecolor=PALE)
            axes.imshow(pictures[column], cmap=_COLOURS, vmin=0, vmax=ERROR_SCALE, aspect="auto")
        if pictures.ndim == 3:
            axes = sheet.axes(across - _RIGHT, top + 0.04, 0.07, tall - 0.08)
            colours = ScalarMappable(Normalize(0, ERROR_SCALE), _COLOURS)
            ticks = [0, ERROR_SCALE] if tall < 0.5 else [0, 0.1, 0.2, 0.3]
            bar = sheet.figure.colorbar(colours, cax=axes, ticks=ticks)
            bar.set_ticklabels([*map(str, ticks[:-1]), f"≥{ERROR_SCALE:g}"])
            bar.outline.set_linewidth(0.4)
            axes.tick_params(labelsize=5.5)
        top += tall + _GAP
    top += 0.08
    sheet.write_lines(lines, top)
    return sheet.figure
