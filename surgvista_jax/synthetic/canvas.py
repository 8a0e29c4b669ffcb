"""What tissue is painted with: noise, scales of colour, curves, and distances on a canvas."""

import cv2
import numpy as np
from numpy.typing import ArrayLike

Colour = tuple[int, int, int]  # RGB
MARGIN = 0.24  # of the canvas beyond the picture, on each side


def fractal(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int
) -> np.ndarray:
    """Noise in [0, 1] whose largest blobs are `cell` pixels wide; each octave halves them."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        size = max(cell / 2**octave, 1.0)
        grid = rng.random((int(height / size) + 3, int(width / size) + 3), np.float32)
        total += 0.55**octave * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = np.quantile(total[::4, ::4], (0.01, 0.99))
    return np.clip((total - low) / (high - low), 0, 1)


def ramp(noise: np.ndarray, *colours: Colour) -> np.ndarray:
    """Colours [h, w, 3] along a scale: the first where the noise is 0, the last where it is 1."""
    stops = np.linspace(0, 1, len(colours))
    table = np.array(colours, np.float32)
    return np.stack([np.interp(noise, stops, table[:, c]) for c in range(3)], -1).astype(np.float32)


def curve(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> np.ndarray:
    """Points [13, 2] of the quadratic Bezier curve from a over b to c."""
    t = np.linspace(0, 1, 13)[:, None]
    return (1 - t) ** 2 * np.array(a) + 2 * t * (1 - t) * np.array(b) + t**2 * np.array(c)


class Canvas:
    """Coordinates of a canvas, and distances to shapes on it, in scene units."""

    def __init__(self, height: int, width: int) -> None:
        self.scale = float(min(height, width))
        pad = round(MARGIN * self.scale)
        self.shape = (height + 2 * pad, width + 2 * pad)
        self.origin = (
            pad + 0.5 * (width - self.scale),
            pad + 0.5 * (height - self.scale),
        )
        y, x = np.mgrid[: self.shape[0], : self.shape[1]].astype(np.float32)
        self.x = (x - self.origin[0]) / self.scale
        self.y = (y - self.origin[1]) / self.scale

    def pixels(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(points) * self.scale + np.array(self.origin)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """To the polyline through `points`, in units."""
        nearest = np.full(self.shape, np.inf, np.float32)
        for start, end in zip(points[:-1], points[1:], strict=True):
            dx, dy = self.x - np.float32(start[0]), self.y - np.float32(start[1])
            ax, ay = (np.float32(value) for value in end - start)
            share = np.clip((dx * ax + dy * ay) / (ax * ax + ay * ay), 0, 1)
            nearest = np.minimum(nearest, (dx - share * ax) ** 2 + (dy - share * ay) ** 2)
        return np.sqrt(nearest)

    def inside(self, points: np.ndarray, soft: float) -> np.ndarray:
        blank = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(blank, [np.rint(self.pixels(points)).astype(np.int32)], 255)
        sigma = soft * self.scale
        return cv2.GaussianBlur(blank.astype(np.float32) / 255, (0, 0), sigma)
