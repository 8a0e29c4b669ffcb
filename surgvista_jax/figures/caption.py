"""What is drawn into the pictures of an annotated video: a bar with the label, a ribbon."""

from dataclasses import dataclass

import numpy as np

from surgvista_jax.figures.lettering import lettering
from surgvista_jax.figures.palette import look

_BAR = 0.06  # of the shorter side
_LEAST = 20  # pixels of a bar's height
_DARKENED = 0.3  # what is left of a picture's light under the bar
_UNLABELLED = (70, 70, 70)
_MOST_ROWS = 8  # classes that hold together, in a ribbon


def bar_height(height: int, width: int) -> int:
    """Pixels of the bar in pictures of a size."""
    return max(1, min(max(_LEAST, round(_BAR * min(height, width))), height // 3))


def bgr(class_id: int) -> tuple[int, int, int]:
    """The colour of a class."""
    colour = look(class_id).colour
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def ribbon(held: np.ndarray, ends: np.ndarray, width: int, height: int) -> np.ndarray:
    """The whole video as a ribbon, uint8 [height, width, 3] BGR.

    Args:
        held: [n, C] bool, the classes of each moment: a row for each that ever holds, the most
            frequent first, or of one class a moment a single row.
        ends: [n] until when each moment counts, as a share of the video, ascending.
    """
    moment = np.searchsorted(ends, (np.arange(width) + 0.5) / width, side="right")
    moment = np.minimum(moment, len(ends) - 1)
    picture = np.full((height, width, 3), _UNLABELLED, np.uint8)
    if held.sum(1).max(initial=0) <= 1:
        for class_id in map(int, np.flatnonzero(held.any(0))):
            on = held[moment, class_id]
            picture[:, on] = bgr(class_id)
            for start, end in look(class_id).bands:
                top = round(start * height)
                picture[top : max(top + 1, round(end * height)), on] = _ink(class_id)
        return picture
    frequent = np.argsort(-held.sum(0), kind="stable")[:_MOST_ROWS]
    rows: list[int] = [int(k) for k in frequent if held[:, k].any()]
    for number, row in enumerate(rows):
        top, bottom = (round(k * height / len(rows)) for k in (number, number + 1))
        picture[top:bottom, held[moment, row]] = bgr(row)
    return picture


def _ink(class_id: int) -> tuple[int, int, int]:
    ink = look(class_id).ink
    return int(ink[5:7], 16), int(ink[3:5], 16), int(ink[1:3], 16)


@dataclass(frozen=True)
class Bar:
    """The bar of one moment.

    Attributes:
        colour: [h, w, 3] float32 BGR, what is added.
        kept: [h, w, 1] float32, the share of the picture that stays.
    """

    colour: np.ndarray
    kept: np.ndarray


def bar(text: str, confidence: str, class_ids: tuple[int, ...], width: int, height: int) -> Bar:
    """A dark bar: the colours of the classes, their names, and at its end how sure the model is."""
    kept = np.full((height, width, 1), _DARKENED, np.float32)
    colour = np.zeros((height, width, 3), np.float32)
    gap = max(2, height // 5)
    at = gap
    for class_id in class_ids[:_MOST_ROWS]:
        swatch = slice(gap, height - gap), slice(at, min(at + height - 2 * gap, width))
        kept[swatch], colour[swatch] = 0, bgr(class_id)
        at += height - gap
    sure = lettering(confidence, max(1, width // 3), height) if confidence else None
    right = width - gap - (sure.shape[1] + gap if sure is not None else 0)
    if text and right - at > height // 2:
        _write(lettering(text, right - at, height), at, colour, kept)
    if sure is not None:
        _write(sure, width - gap - sure.shape[1], colour, kept)
    return Bar(colour, kept)


def _write(covered: np.ndarray, left: int, colour: np.ndarray, kept: np.ndarray) -> None:
    left = max(left, 0)
    share = covered[:, : kept.shape[1] - left, None].astype(np.float32) / 255
    place = slice(left, left + share.shape[1])
    kept[:, place] *= 1 - share
    colour[:, place] += 255 * share


def draw(picture: np.ndarray, bar: Bar | None, ribbon: np.ndarray, at: float) -> None:
    """Draws into the lower edge of a picture.

    Args:
        picture: [H, W, 3] uint8 BGR, changed in place; as wide as bar and ribbon.
        bar: None where nothing is known.
        at: where in the ribbon this is, a share of its width.
    """
    height, width = picture.shape[:2]
    top = height - len(ribbon)
    picture[top:] = ribbon
    x = min(int(at * width), width - 1)
    picture[top:, max(x - 2, 0) : x + 3] = 0
    picture[top:, max(x - 1, 0) : x + 2] = 255
    if bar is not None:
        under = picture[top - len(bar.kept) : top]
        under[:] = np.rint(under * bar.kept + bar.colour)
