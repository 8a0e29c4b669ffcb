"""The page of a rebuilt clip: frames side by side, stages below one another."""

import dataclasses
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from surgvista_jax.figures.denormalise import (
    PLAIN,
    STATISTICS,
    assemble,
    denormalise,
    squared_errors,
)
from surgvista_jax.models.patches import patchify, token_grid

MOST_FRAMES = 8  # columns
ERROR_SCALE = 0.3  # the error, of a pixel range of 1, that gets the last colour; always the same
DPI = 150
HIDDEN = np.float32(0.55)  # grey of what the student does not see

ERROR_COLOURS = colormaps["inferno"].with_extremes(bad="0.82")
_STATISTICS = {
    "visible": "interpolated from visible neighbours, which uses nothing of a hidden patch",
    "target": "each hidden patch's own, which gives the prediction two numbers a channel",
}
# Inches.
_FRAME, _GAP, _LEFT, _RIGHT, _MARGIN = 1.2, 0.04, 1.4, 0.62, 0.12
_HEADING, _NUMBERS, _BETWEEN_CLIPS, _LINE = 0.24, 0.2, 0.12, 0.16
_TEXT, _SMALL = 9.0, 7.5  # points
_DARK, _PALE = "0.1", "0.4"


@dataclasses.dataclass(frozen=True)
class Caption:
    """What the pictures cannot say.

    Attributes:
        dataset: what it is called.
        step: updates that the student has had.
        mask: the kind of mask, "tube" or "random".
        ratio: the share of tokens that it was set to hide.
        videos: the video of each of the B clips.
        frame_ids: int [B, T], the frames of each clip, as numbers of its video.
    """

    dataset: str
    step: int
    mask: str
    ratio: float
    videos: Sequence[str]
    frame_ids: np.ndarray


def draw(
    batch: Mapping[str, np.ndarray],
    predicted: np.ndarray,
    caption: Caption,
    *,
    tubelet: int,
    patch: int,
    statistics: Sequence[str] = STATISTICS[:1],
) -> np.ndarray:
    """Draws clips, what the student saw of them, what it rebuilt, and where that is wrong.

    Args:
        batch: `video` uint8 [B, T, H, W, 3], `visible_ids` [B, V] and `hidden_ids` [B, M]: one mask
            a clip.
        predicted: [B, M, P] normalised pixels, as the student predicts them.
        statistics: which of `denormalise.STATISTICS` to undo the normalisation with; each gets its
            own two rows. PLAIN alone where pixels were not normalised patch by patch.

    Returns:
        uint8 [height, width, 3].
    """
    video, hidden_ids = batch["video"], batch["hidden_ids"]
    _, num_frames, height, width, _ = video.shape
    grid = token_grid(num_frames, height, width, tubelet, patch)
    patches = patchify(video, tubelet, patch)

    def filled(hidden: np.ndarray | np.float32) -> np.ndarray:
        return assemble(hidden, patches, hidden_ids, grid, tubelet, patch)

    hidden = filled(np.float32(1)) != filled(np.float32(0))  # [B, T, H, W, 3]
    rows = [("original", "", video), ("input", "hidden: grey", filled(HIDDEN))]
    for name in statistics:
        pixels = denormalise(predicted, patches, batch["visible_ids"], hidden_ids, grid, name)
        rebuilt = filled(pixels)
        error = np.abs(rebuilt.astype(np.float32) - video).mean(-1) / 255  # [B, T, H, W]
        error = np.ma.masked_array(error, ~hidden[..., 0])
        remark = "" if name == PLAIN else f"statistics: {name}"
        rows.append(("reconstruction", remark, rebuilt))
        rows.append(("error", "mean {:.3f}", error))
    share = f"{hidden_ids.shape[1]} of {patches.shape[1]} patches hidden"
    plain = PLAIN in statistics
    error, error_of_zeros = squared_errors(predicted, patches, hidden_ids, plain)
    meanings = [f'"{name}": {_STATISTICS[name]}' for name in statistics if not plain]
    undone = f" Mean and deviation that undo the patch normalisation: {'; '.join(meanings)}."
    of_zeros = "grey" if plain else "each patch's mean colour"
    paragraphs = [
        f"{caption.dataset}, step {caption.step}. {caption.mask.capitalize()} mask, ratio"
        f" {caption.ratio:g}: {share}. Mean squared error of the normalised pixels of these clips:"
        f" {error:.3f}; of predicting zeros, {of_zeros}: {error_of_zeros:.3f}.",
        "Reconstruction: hidden patches predicted, visible ones copied."
        + ("" if plain else undone),
        "Error: absolute difference of hidden pixels from the original, mean over the colour"
        " channels, where black is 0 and white 1. Visible patches: pale grey.",
    ]
    with warnings.catch_warnings():
        # A name in letters that the font lacks is drawn with boxes in their place.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        return _lay_out(rows, caption, paragraphs)


def _lay_out(
    rows: Sequence[tuple[str, str, np.ndarray]], caption: Caption, paragraphs: Sequence[str]
) -> np.ndarray:
    """Rows of (label, remark, pictures [B, T, H, W, 3] or errors [B, T, H, W]) -> the page."""
    clips, num_frames, height, width = rows[0][2].shape[:4]
    columns = np.linspace(0, num_frames - 1, min(num_frames, MOST_FRAMES)).round().astype(int)
    lefts = _LEFT + np.arange(len(columns)) * (_FRAME + _GAP)
    row_height = _FRAME * height / width
    page_width = lefts[-1] + _FRAME + _RIGHT
    room = page_width - _MARGIN
    lines = [line for text in paragraphs for line in _wrap(text, room - _MARGIN, size=_SMALL)]
    headings = [_wrap(name, room - _LEFT, size=_TEXT, weight="bold") for name in caption.videos]
    page_height = (
        sum(map(len, headings)) * _HEADING
        + clips * (_NUMBERS + len(rows) * (row_height + _GAP) + _BETWEEN_CLIPS)
        + len(lines) * _LINE
        + 2 * _MARGIN
    )
    page = _Page(page_width, page_height)
    label: dict[str, Any] = {"left": _LEFT - 0.1, "ha": "right"}
    top = _MARGIN
    for clip in range(clips):
        for line in headings[clip]:
            page.write(line, _LEFT, top + _HEADING / 2, weight="bold")
            top += _HEADING
        middle = top + _NUMBERS / 2
        page.write("frame", middle=middle, size=_SMALL, color=_PALE, **label)
        for left, column in zip(lefts, columns, strict=True):
            number = str(caption.frame_ids[clip][column])
            page.write(number, left + _FRAME / 2, middle, size=_SMALL, color=_PALE, ha="center")
        top += _NUMBERS
        for name, remark, pictures in rows:
            is_error = pictures.ndim == 4
            remark = remark.format(pictures[clip].mean()) if is_error else remark
            middle, apart = top + row_height / 2, 0.08 if remark else 0
            page.write(name, middle=middle - apart, **label)
            page.write(remark, middle=middle + apart, size=_SMALL, color=_PALE, **label)
            for left, column in zip(lefts, columns, strict=True):
                page.show(pictures[clip, column], left, top, _FRAME, row_height)
            if is_error:
                page.show_scale(page_width - _RIGHT + 0.08, top, 0.09, row_height)
            top += row_height + _GAP
        top += _BETWEEN_CLIPS
    for line in lines:
        page.write(line, _MARGIN, top + _LINE / 2, size=_SMALL)
        top += _LINE
    return page.pixels()


class _Page:
    """A figure whose positions are given in inches from the top left corner."""

    def __init__(self, width: float, height: float):
        self._width, self._height = width, height
        self._figure = Figure((width, height), dpi=DPI, facecolor="white")
        self._canvas = FigureCanvasAgg(self._figure)
        # One frame for everything: one for each picture would take most of the time.
        self._axes = self._figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self._axes.set_axis_off()
        self._axes.set_autoscale_on(False)

    def write(self, text: str, left: float, middle: float, **style: Any) -> None:
        # Names of videos are not formulas, whatever dollar signs they hold.
        style = {"size": _TEXT, "color": _DARK, "va": "center", "parse_math": False, **style}
        self._axes.text(left, middle, text, **style)

    def show(
        self, picture: np.ndarray, left: float, top: float, width: float, height: float
    ) -> None:
        place = (left, left + width, top + height, top)
        self._axes.imshow(
            picture, cmap=ERROR_COLOURS, vmin=0, vmax=ERROR_SCALE, extent=place, aspect="auto"
        )

    def show_scale(self, left: float, top: float, width: float, height: float) -> None:
        bottom = self._height - top - height
        across, up = self._width, self._height
        place = (left / across, bottom / up, width / across, height / up)
        axes = self._figure.add_axes(place)
        colours = ScalarMappable(Normalize(0, ERROR_SCALE), ERROR_COLOURS)
        bar = self._figure.colorbar(colours, cax=axes, extend="max", ticks=[0, 0.1, 0.2, 0.3])
        bar.outline.set_linewidth(0.5)
        axes.tick_params(labelsize=_SMALL, labelcolor=_PALE, length=2, width=0.5, pad=2)

    def pixels(self) -> np.ndarray:
        self._canvas.draw()
        return np.array(self._canvas.buffer_rgba())[..., :3]


def _wrap(text: str, width: float, **style: Any) -> list[str]:
    """Breaks a text into lines of at most `width` inches."""
    renderer = FigureCanvasAgg(Figure(dpi=DPI)).get_renderer()
    font = FontProperties(**style)

    def inches(line: str) -> float:
        return renderer.get_text_width_height_descent(line, font, ismath=False)[0] / DPI

    lines, whole = [text], inches(text)
    # Some lines hold more letters than the average one, so the search starts above that.
    letters = int(1.3 * len(text) * width / whole) if whole > width else 0
    while max(map(inches, lines)) > width and letters > 1:
        letters -= 1
        lines = textwrap.wrap(text, letters)
    return lines
