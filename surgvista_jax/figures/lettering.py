"""Text of any script as a picture: in the font of matplotlib, or in one of the system."""

import functools
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

_MOST_FONTS = 300  # of the system, that are looked into
_CUT = "…"


def lettering(text: str, width: int, height: int) -> np.ndarray:
    """How much of each pixel a line of text covers: uint8 [height, w], w at most `width`.

    A text that is too long is made smaller, down to two thirds, and then cut. Characters that no
    font here has are boxes (`undrawable`).
    """
    size = max(6, round(0.72 * height))
    path = _font_for(text)
    font = ImageFont.truetype(path, size)
    while font.getlength(text) > width and size > max(6, round(0.48 * height)):
        size -= 1
        font = ImageFont.truetype(path, size)
    while text != _CUT and font.getlength(text) > width:
        text = (text[:-2] if text.endswith(_CUT) else text[:-1]).rstrip() + _CUT
    image = Image.new("L", (max(1, min(width, round(font.getlength(text)) + 1)), height), 0)
    ascent, descent = font.getmetrics()
    ImageDraw.Draw(image).text((0, (height - ascent - descent) / 2), text, fill=255, font=font)
    return np.asarray(image)


def undrawable(text: str) -> str:
    """The characters of a text that no font here has, each once."""
    has = _characters(_font_for(text))
    return "".join(dict.fromkeys(c for c in text if ord(c) not in has and not c.isspace()))


@functools.lru_cache(maxsize=256)
def _font_for(text: str) -> str:
    """The file of the first font that has most of a text's characters, matplotlib's own before."""
    own = str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))
    wanted = {ord(c) for c in text if not c.isspace()}
    if wanted <= _characters(own):
        return own
    return max((own, *_system_fonts()), key=lambda path: len(wanted & _characters(path)))


@functools.lru_cache(maxsize=1)
def _system_fonts() -> tuple[str, ...]:
    return tuple(sorted(font_manager.findSystemFonts())[:_MOST_FONTS])


@functools.lru_cache(maxsize=_MOST_FONTS + 1)
def _characters(path: str) -> frozenset[int]:
    """The characters of a font; none of one that cannot be drawn with."""
    try:
        ImageFont.truetype(path, 12)
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
