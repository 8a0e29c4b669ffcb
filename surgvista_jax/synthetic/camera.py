"""Where in the picture a point of the scene is."""

import numpy as np
from numpy.typing import ArrayLike


def project(scene: np.void, points: ArrayLike, height: int, width: int) -> np.ndarray:
    """Pixels (x, y) [..., 2] of scene points [..., 2], seen by the camera of one row of SCENE."""
    x, y, zoom, roll = (float(value) for value in scene["camera"])
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    seen = (np.asarray(points, float) - (x, y)) @ turn.T * (zoom * min(height, width))
    return seen + (0.5 * width, 0.5 * height)


def in_view(scene: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether scene points [N, ..., 2] lie within the circle that pictures of all shapes show.

    Args:
        scene: the frames in which they are looked for, SCENE [N].

    Returns:
        bool [N, ...].
    """
    seen = np.array([project(row, p, 1, 1) for row, p in zip(scene, points, strict=True)])
    return np.linalg.norm(seen - 0.5, axis=-1) < 0.5
