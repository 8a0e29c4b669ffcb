"""How does an accelerator make a live frame as small as clips hold it, as OpenCV does on the host?

There it takes two fifths of the time from a frame to its label: a processor that slept until the
frame came is slow at first. Sums of fractions end in other last digits than OpenCV's (as its own
do from one kind of processor to another), so that here and there a value differs by 1 of 255.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from surgvista_jax.data.conversion.extract import reduced_size

_BITS = 11  # of OpenCV's weights between two pixels
_TINY = 1e-3  # shares of a pixel that OpenCV leaves out


def fitted(frame: jax.Array, short_side: int, size: int) -> jax.Array:
    """A frame, `reduced` and then stretched to a square bilinearly.

    Args:
        frame: [H, W, 3] uint8.
        short_side: pixels of the shorter side between the two, at most.
        size: pixels a side.

    Returns:
        [size, size, 3] uint8.
    """
    height, width = frame.shape[:2]
    small = reduced_size(width, height, short_side)
    if small != (width, height):
        along, down = _by_area(width, small[0]), _by_area(height, small[1])
        means = _sum(_weighted(frame.astype(jnp.float32), 1, *along))
        means = _sum(_weighted(means, 0, *down))
        halves = (width, height) == (2 * small[0], 2 * small[1])  # .5 is rounded up there
        frame = jnp.floor(means + 0.5) if halves else jnp.round(means)
    wide = _sum(_weighted(frame.astype(jnp.int32), 1, *_between(small[0], size))) >> 4
    upper, lower = _weighted(wide, 0, *_between(small[1], size))
    return (((upper >> 16) + (lower >> 16) + 2) >> 2).astype(jnp.uint8)


def _weighted(
    picture: jax.Array, axis: int, places: np.ndarray, weights: np.ndarray
) -> list[jax.Array]:
    """Of each row of places the picture's pixels there, along an axis, by the row's weights."""
    shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    return [
        jnp.take(picture, place, axis) * weight.reshape(shape)
        for place, weight in zip(places, weights, strict=True)
    ]


def _sum(parts: list[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, parts)  # in this order, as OpenCV adds


def _by_area(pixels: int, fewer: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels lie under each of fewer ones, and with what share of it: [taps, fewer] each."""
    scale = pixels / fewer
    begin = np.arange(fewer) * scale
    places = np.floor(begin + 1e-9).astype(np.int32) + np.arange(math.ceil(scale) + 1)[:, None]
    under = np.minimum(begin + scale, places + 1) - np.maximum(begin, places)
    shares = np.where(under < _TINY, 0, under) / scale
    return np.minimum(places, pixels - 1).astype(np.int32), shares.astype(np.float32)


def _between(pixels: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Between which two pixels each of `count` lies, and their weights: [2, count] int32 each."""
    middle = (np.arange(count) + 0.5) * (pixels / count) - 0.5
    before = np.floor(middle)
    after = np.where((before < 0) | (before >= pixels - 1), 0, middle - before)
    first = before.clip(0, pixels - 1).astype(np.int32)
    weights = np.round(np.stack([1 - after, after]) * 2**_BITS).astype(np.int32)
    return np.stack([first, np.minimum(first + 1, pixels - 1)]), weights
