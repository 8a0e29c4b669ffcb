"""The operations of RandAugment on the pixels of a clip.

Every operation has the same strength for all frames; what it measures (AutoContrast, Equalize,
Contrast), it measures in each frame. The results are those of the Pillow operations that define
RandAugment, to within the rounding that each docstring states. Source and target are contiguous
uint8 [T, H, W, 3], RGB, never the same array, and every pixel of the target is written.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

FILL = 128  # the grey that comes in where a picture is moved away
# The smoothed picture that Sharpness blends with: (1 1 1; 1 5 1; 1 1 1) / 13, written here as the
# mean of nine pixels and the pixel itself, because OpenCV takes means of nine quickly.
_SMOOTH_MEAN, _SMOOTH_CENTRE = 9 / 13, 4 / 13
_LUMA = np.array([0.299, 0.587, 0.114])
# Pillow truncates interpolated values, OpenCV rounds them: subtracting almost a half makes them
# equal. With a whole half, integers would be ties, and OpenCV rounds every other tie down.
_CUT_OFF = -0.498
_LEVELS = np.arange(256)


def auto_contrast(source: np.ndarray, target: np.ndarray) -> None:
    """Stretches each channel of a frame to 0..255; a constant channel stays. Exact."""

    def table(plane: np.ndarray) -> np.ndarray | None:
        low, high, _, _ = cv2.minMaxLoc(plane)
        if high == low or (low, high) == (0, 255):
            return None
        scale = 255.0 / (high - low)
        return _clip(_LEVELS * scale - low * scale)

    _look_up_channels(source, target, table)


def equalize(source: np.ndarray, target: np.ndarray) -> None:
    """Spreads the values of each channel of a frame evenly. Exact."""

    def table(plane: np.ndarray) -> np.ndarray | None:
        counts = cv2.calcHist([plane], [0], None, [256], [0, 256]).ravel().astype(np.int64)
        used = np.flatnonzero(counts)
        step = (counts.sum() - counts[used[-1]]) // 255
        if len(used) == 1 or step == 0:
            return None
        return _clip((step // 2 + np.cumsum(counts) - counts) // step)

    _look_up_channels(source, target, table)


def invert(source: np.ndarray, target: np.ndarray) -> None:
    """Turns x into 255 - x. Exact."""
    cv2.bitwise_not(_tall(source), dst=_tall(target))


def posterize(source: np.ndarray, target: np.ndarray, bits: int) -> None:
    """Keeps the `bits` (0 to 8) highest bits of each value. Exact."""
    mask = 256 - (1 << (8 - bits))
    np.bitwise_and(source, np.uint8(mask), out=target)


def solarize(source: np.ndarray, target: np.ndarray, threshold: int) -> None:
    """Inverts the values from `threshold` on. Exact."""
    _look_up(source, target, np.where(_LEVELS < threshold, _LEVELS, 255 - _LEVELS))


def solarize_add(source: np.ndarray, target: np.ndarray, addend: int) -> None:
    """Adds to the values below 128. Exact."""
    _look_up(source, target, np.where(_LEVELS < 128, _LEVELS + addend, _LEVELS))


def color(source: np.ndarray, target: np.ndarray, factor: float) -> None:
    """Blends each pixel with its grey: 0 is a grey picture, 1 the same. Within 1 level.

    One matrix does both steps, so that the grey in between is not rounded.
    """
    matrix = np.empty((3, 4))
    matrix[:, :3] = factor * np.eye(3) + (1 - factor) * _LUMA
    matrix[:, 3] = _CUT_OFF
    cv2.transform(_tall(source), matrix, dst=_tall(target))


def contrast(source: np.ndarray, target: np.ndarray, factor: float) -> None:
    """Blends each frame with its mean grey: 0 is all of that grey, 1 the same. Within 1 level.

    OpenCV's grey differs from Pillow's by 1 in a few pixels, which can round the mean differently.
    """
    for frame, out in zip(source, target, strict=True):
        mean = int(cv2.mean(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))[0] + 0.5)
        _look_up(frame[None], out[None], mean + factor * (_LEVELS - mean))


def brightness(source: np.ndarray, target: np.ndarray, factor: float) -> None:
    """Multiplies each value: 0 is black, 1 the same. Exact but for float32: within 1 level."""
    _look_up(source, target, factor * _LEVELS)


def sharpness(source: np.ndarray, target: np.ndarray, factor: float) -> None:
    """Blends each frame with a smoothed one: 0 is smoothed, 1 the same. Within 1 level.

    The pixels at the edge of the frame, which have no eight neighbours, stay as they are.
    """
    weight = 1 - factor
    for frame, out in zip(source, target, strict=True):
        cv2.blur(frame, (3, 3), dst=out)
        own = factor + weight * _SMOOTH_CENTRE
        cv2.addWeighted(out, weight * _SMOOTH_MEAN, frame, own, _CUT_OFF, dst=out)
        for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
            out[edge] = frame[edge]


def rotate(source: np.ndarray, target: np.ndarray, degrees: float) -> None:
    """Turns the picture counter-clockwise about its centre, interpolating bicubically.

    OpenCV's bicubic kernel (a = -0.75, in steps of 1/32 pixel) is a little softer than Pillow's
    (a = -1), and its edge towards the grey is smooth.
    """
    _, height, width, _ = source.shape
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    turn = np.array([[cos, -sin], [sin, cos]])  # from the place in the target to that in the source
    matrix = np.column_stack([turn, middle - turn @ middle])
    for frame, out in zip(source, target, strict=True):
        cv2.warpAffine(
            frame,
            matrix,
            (width, height),
            dst=out,
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(FILL,) * 3,
        )


def shear_x(source: np.ndarray, target: np.ndarray, slope: float) -> None:
    """Shows at (x, y) what was at (x + slope * y, y), interpolating bicubically. Within 1 level.

    A shear moves rows, so that four taps along the row do what a general warp needs sixteen and a
    table for. One call moves the same row of all frames.
    """
    for row in range(source.shape[1]):
        _shift_x(source[:, row], target[:, row], slope * (row + 0.5))


def shear_y(source: np.ndarray, target: np.ndarray, slope: float) -> None:
    """Shows at (x, y) what was at (x, y + slope * x); see `shear_x`. Within 1 level."""
    count, height, width, _ = source.shape
    turned, moved = np.empty((2, count, width, height, 3), np.uint8)
    for frame, out in zip(source, turned, strict=True):
        cv2.transpose(frame, dst=out)
    shear_x(turned, moved, slope)
    for frame, out in zip(moved, target, strict=True):
        cv2.transpose(frame, dst=out)


def translate_x(source: np.ndarray, target: np.ndarray, share: float) -> None:
    """Shows at x what was at x + share * width, interpolating bicubically. Within 1 level."""
    _shift_x(_tall(source), _tall(target), share * source.shape[2])


def translate_y(source: np.ndarray, target: np.ndarray, share: float) -> None:
    """Shows at y what was at y + share * height, interpolating bicubically. Within 1 level."""
    shift = share * source.shape[1]
    for frame, out in zip(source, target, strict=True):
        _shift_y(frame, out, shift)


def _shift_x(source: np.ndarray, target: np.ndarray, shift: float) -> None:
    """Shows at column x what was at x + shift; both [H, W, 3], rows need not be contiguous."""
    width = source.shape[1]
    kernel, taken, shown, anchor, kept = _shift_plan(shift, width)
    if kept.start < kept.stop:
        part = target[:, shown]
        _filter(source[:, taken], kernel[None], (anchor, 0), part)
    target[:, : kept.start] = FILL
    target[:, kept.stop :] = FILL


def _shift_y(source: np.ndarray, target: np.ndarray, shift: float) -> None:
    """Shows at row y what was at y + shift; both [H, W, 3], contiguous."""
    kernel, taken, shown, anchor, kept = _shift_plan(shift, source.shape[0])
    if kept.start < kept.stop:
        _filter(source[taken], kernel[:, None], (0, anchor), target[shown])
    target[: kept.start] = FILL
    target[kept.stop :] = FILL


def _filter(
    source: np.ndarray, kernel: np.ndarray, anchor: tuple[int, int], target: np.ndarray
) -> None:
    border = cv2.BORDER_REPLICATE
    cv2.filter2D(source, -1, kernel, dst=target, anchor=anchor, delta=_CUT_OFF, borderType=border)


def _shift_plan(shift: float, size: int) -> tuple[np.ndarray, slice, slice, int, slice]:
    """How a filter of four taps moves a row of `size` pixels by `shift`.

    The part of the row that is filtered begins and ends where the row does, or where nothing is
    kept, so that the filter repeats the pixels at the edge of the picture and no others.

    Returns:
        The taps, what part of the source is filtered, what part of the target that fills, which
        tap lies on the pixel, and the part of the target that shows the picture: where the middle
        of a pixel comes from within it.
    """
    whole = math.floor(shift)
    t = shift - whole
    # The cubic of Keys with a = -1, as Pillow takes it for transformations.
    taps = [-t + 2 * t**2 - t**3, 1 - 2 * t**2 + t**3, t + t**2 - t**3, -(t**2) + t**3]
    taken_from, shown_from = max(0, whole - 1), max(0, -whole - 2)
    length = size - taken_from - shown_from
    kept_from = min(size, max(0, math.ceil(-shift - 0.5)))
    kept_to = max(kept_from, min(size, math.ceil(size - 0.5 - shift)))
    return (
        np.array(taps, np.float32),
        slice(taken_from, taken_from + length),
        slice(shown_from, shown_from + length),
        min(3, max(0, 1 - whole)),
        slice(kept_from, kept_to),
    )


def _look_up(source: np.ndarray, target: np.ndarray, values: np.ndarray) -> None:
    """Replaces each level by its value, truncated to an integer and clipped to 0..255."""
    cv2.LUT(_tall(source), _clip(values), dst=_tall(target))


def _look_up_channels(
    source: np.ndarray,
    target: np.ndarray,
    table: Callable[[np.ndarray], np.ndarray | None],
) -> None:
    """Replaces the values of each channel of each frame by `table(channel)`; None keeps them.

    Channel by channel, because OpenCV's table of three channels takes twice as long.
    """
    planes = list(np.empty((3, *source.shape[1:3]), np.uint8))
    for frame, out in zip(source, target, strict=True):
        cv2.split(frame, planes)
        for plane in planes:
            values = table(plane)
            if values is not None:
                cv2.LUT(plane, values, dst=plane)
        cv2.merge(planes, dst=out)


def _clip(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def _tall(clip: np.ndarray) -> np.ndarray:
    """[T, H, W, 3] as one picture [T * H, W, 3], which takes one call instead of T."""
    return clip.reshape(-1, *clip.shape[2:])
