"""The look of each laparoscopic instrument.

Shapes are polygons in units of the frame's shorter side, with the tip's working point at the origin
and the shaft along negative x: flat parts with a colour each, and a shaft of bands like a cylinder.
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import ArrayLike

from surgvista_jax.synthetic.operation import INSTRUMENTS

_STEEL, _DARK, _LIGHT = (150, 152, 158), (70, 72, 78), (214, 218, 224)
# Half width of the shaft, its colour, and where it ends behind the tip.
_SHAFTS = {
    "grasper": (0.030, (128, 132, 140), -0.115),
    "hook": (0.028, (38, 38, 42), -0.125),
    "clipper": (0.044, (156, 150, 136), -0.105),
    "scissors": (0.030, (52, 112, 88), -0.105),
    "bipolar": (0.026, (40, 84, 168), -0.105),
    "irrigator": (0.036, (176, 182, 188), 0.0),
}
_BITS = 4

Part = tuple[ArrayLike, tuple[int, int, int]]  # a polygon [n, 2] and its colour


def _turned(points: ArrayLike, degrees: float, pivot: np.ndarray) -> np.ndarray:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (np.array(points) - pivot) @ turn + pivot


def _grasper(opening: float) -> Iterator[Part]:
    jaw = ((-0.115, 0.002), (-0.10, 0.026), (-0.01, 0.022), (0.008, 0.008), (0.0, 0.001))
    slot = ((-0.085, 0.009), (-0.085, 0.017), (-0.025, 0.016), (-0.025, 0.008))
    pivot, angle = np.array((-0.115, 0.0)), 3 + 21 * opening
    for side in (1, -1):
        for points, colour in ((jaw, _LIGHT), (slot, _DARK)):
            yield _turned(np.array(points) * (1, side), -side * angle, pivot), colour


def _hook(opening: float) -> Iterator[Part]:
    yield ((-0.125, -0.030), (-0.125, 0.030), (-0.065, 0.016), (-0.065, -0.016)), (232, 222, 196)
    yield ((-0.07, -0.007), (-0.07, 0.007), (-0.004, 0.007), (-0.004, -0.007)), _STEEL
    yield ((-0.016, -0.007), (0.004, -0.007), (0.008, 0.042), (-0.004, 0.046)), _LIGHT


def _clipper(opening: float) -> Iterator[Part]:
    gap = 0.006 + 0.022 * opening
    for side in (1, -1):
        jaw = (
            (-0.11, 0.004),
            (-0.10, 0.04),
            (-0.05, gap + 0.022),
            (0.012, gap + 0.014),
            (0.012, gap),
            (-0.05, gap),
        )
        yield np.array(jaw) * (1, side), (196, 190, 176)
        clip = ((-0.045, gap), (0.008, gap), (0.008, gap - 0.009), (-0.045, gap - 0.009))
        yield np.array(clip) * (1, side), (236, 196, 60)


def _scissors(opening: float) -> Iterator[Part]:
    pivot, angle = np.array((-0.085, 0.0)), 2 + 24 * opening
    blade = ((-0.11, -0.016), (-0.09, 0.022), (-0.03, 0.026), (0.018, 0.004), (-0.06, -0.004))
    for side, colour in ((1, (226, 214, 180)), (-1, (178, 164, 130))):
        yield _turned(np.array(blade) * (1, side), -side * angle, pivot), colour
    yield [pivot + 0.014 * np.array((np.cos(a), np.sin(a))) for a in np.arange(8) * 0.8], _DARK


def _bipolar(opening: float) -> Iterator[Part]:
    pivot, angle = np.array((-0.105, 0.0)), 2 + 14 * opening
    arm = ((-0.115, 0.004), (-0.10, 0.020), (-0.02, 0.015), (0.004, 0.004), (-0.02, 0.003))
    tip = ((-0.03, 0.002), (-0.03, 0.017), (-0.01, 0.012), (0.006, 0.004), (-0.01, 0.002))
    for side in (1, -1):
        for points, colour in ((arm, (66, 122, 214)), (tip, (240, 236, 220))):
            yield _turned(np.array(points) * (1, side), -side * angle, pivot), colour


def _irrigator(opening: float) -> Iterator[Part]:
    for x in (-0.03, -0.06, -0.09):
        for y in (-0.012, 0.014):
            hole = ((x, y), (x - 0.014, y), (x - 0.014, y + 0.009), (x, y + 0.009))
            yield hole, (30, 32, 36)
    yield ((-0.006, -0.03), (0.006, -0.016), (0.006, 0.016), (-0.006, 0.03)), (96, 100, 106)


_TIPS = dict(
    zip(INSTRUMENTS, (_grasper, _hook, _clipper, _scissors, _bipolar, _irrigator), strict=True)
)


def draw_instrument(
    picture: np.ndarray,
    silhouette: np.ndarray,
    kind: int,
    tip: np.ndarray,
    port: np.ndarray,
    opening: float,
    scale: float,
    brightness: float,
) -> None:
    """Draws instrument `kind` (an id of INSTRUMENTS) into `picture` uint8 [H, W, 3], in place.

    Args:
        silhouette: uint8 [H, W], set to 255 where the instrument hides the tissue; in place.
        tip, port: pixels (x, y) of the working point and of a point on the shaft's axis, far out.
        scale: pixels a unit. brightness: 1 for plain steel.
    """
    scale = 1.15 * scale
    name = INSTRUMENTS[kind]
    tip, port = np.asarray(tip, float), np.asarray(port, float)
    reach = float(np.linalg.norm(tip - port))
    axis = (tip - port) / max(reach, 1e-6)
    basis = np.stack([axis, (-axis[1], axis[0])]) * scale

    def fill(points: ArrayLike, colour: Iterable[float]) -> None:
        pixels = np.asarray(points) @ basis + tip
        pixels = np.rint(pixels * 2**_BITS).astype(np.int32)
        lit = tuple(float(min(255, c * brightness)) for c in colour)
        cv2.fillPoly(picture, [pixels], lit, cv2.LINE_AA, _BITS)
        cv2.fillPoly(silhouette, [pixels], 255, cv2.LINE_AA, _BITS)

    half, colour, end = _SHAFTS[name]
    back = -reach / scale
    bands = ((-1.0, 1.0, 0.55), (-0.8, 0.55, 0.85), (-0.55, 0.2, 1.15), (-0.4, -0.1, 1.6))
    for low, high, gain in bands:
        band = ((back, low * half), (back, high * half), (end, high * half), (end, low * half))
        fill(band, [gain * c + 12 * (gain > 1.5) for c in colour])
    for points, part in _TIPS[name](opening):
        fill(points, part)
