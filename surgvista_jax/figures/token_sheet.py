"""The picture of what a model's tokens say of a clip: frames, attention, three main components."""

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib import colormaps

from surgvista_jax.figures.lettering import lettering
from surgvista_jax.figures.token_maps import attention_map, components, over_frames

MOST_FRAMES = 8  # columns
BRIGHTEST = 4.0  # times an even share, from where on attention has the last colour; always the same
_SIDE, _GAP, _LINE, _MARGIN = 160, 4, 22, 12  # pixels
_COLOURS = colormaps["inferno"]


def draw(
    clip: np.ndarray,
    tokens: np.ndarray,
    shares: np.ndarray | None,
    rolled: np.ndarray | None,
    grid: tuple[int, int, int],
    caption: Sequence[str],
) -> np.ndarray:
    """Draws a clip and its maps below one another.

    Args:
        clip: uint8 [T, H, W, 3], RGB.
        tokens: [N, D] in (t, h, w) order, without a class token.
        shares: attention [heads, t, h, w]; None where the model has none.
        rolled: attention through all blocks [t, h, w]; None where the model has none.
        grid: (t, h, w).
        caption: lines below the pictures.

    Returns:
        uint8 [height, width, 3].
    """
    rows: list[tuple[str, np.ndarray]] = [("frames", clip)]
    for title, found in (
        ("attention, mean over heads", shares),
        ("attention rolled out over all blocks", None if rolled is None else rolled[None]),
    ):
        if found is not None:
            relative = attention_map(found)
            scale = f"black none, yellow {BRIGHTEST:g} times an even share or more"
            drawn = np.clip(over_frames(relative, clip) / BRIGHTEST, 0, 1)
            pictures = (_COLOURS(drawn)[..., :3] * 255).astype(np.uint8)
            rows.append((f"{title}: {scale} (most: {relative.max():.1f})", pictures))
    colours = over_frames(components(tokens, grid), clip)
    title = "three main components of the tokens as red, green, blue: alike in colour, alike to it"
    rows.append((title, (colours * 255).astype(np.uint8)))
    which = np.linspace(0, len(clip) - 1, min(len(clip), MOST_FRAMES)).round().astype(int)
    width = max(2 * _MARGIN + len(which) * (_SIDE + _GAP) - _GAP, 6 * _SIDE)
    height = 2 * _MARGIN + len(rows) * (_LINE + _SIDE + _GAP) + len(caption) * _LINE
    page = np.full((height, width, 3), 255, np.uint8)
    top = _MARGIN
    for title, pictures in rows:
        _write(page, title, top)
        top += _LINE
        for column, number in enumerate(which):
            left = _MARGIN + column * (_SIDE + _GAP)
            small = cv2.resize(pictures[number], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
            page[top : top + _SIDE, left : left + _SIDE] = small
        top += _SIDE + _GAP
    for line in caption:
        _write(page, line, top)
        top += _LINE
    return page


def heated(frame: np.ndarray, relative: np.ndarray, side: int) -> np.ndarray:
    """Attention over the frame that it is of.

    Args:
        frame: uint8 [H, W, 3], RGB.
        relative: [h, w], multiples of an even share.
        side: pixels of the picture.

    Returns:
        uint8 [side, side, 3]: half the colours of attention, half the frame in grey.
    """
    small = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)[..., None]
    clipped = np.clip(relative / BRIGHTEST, 0, 1).astype(np.float32)
    share = cv2.resize(clipped, (side, side), interpolation=cv2.INTER_LINEAR)
    return (127.5 * _COLOURS(share)[..., :3] + 0.5 * grey).astype(np.uint8)


def _write(page: np.ndarray, text: str, top: int) -> None:
    ink = lettering(text, page.shape[1] - 2 * _MARGIN, _LINE)
    place = page[top : top + _LINE, _MARGIN : _MARGIN + ink.shape[1]]
    place[:] = (place * (1 - ink[..., None] / 255)).astype(np.uint8)
