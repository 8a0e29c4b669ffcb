"""Where the endoscope's picture lies in the frames of a video, without its black margins."""

from collections.abc import Iterable

import cv2
import numpy as np

# The rule by which the method's authors prepared Cholec80, applied to several frames together: at
# 300 pixels height, brighter than 15 of 255 after a median over 19 pixels, the outermost 10 columns
# ignored.  They cut every frame on its own, which changes its size from frame to frame.
_HEIGHT, _THRESHOLD, _MEDIAN, _IGNORED = 300, 15, 19, 10


def content_box(images: Iterable[np.ndarray]) -> list[int] | None:
    """Finds top, bottom, left and right of what is not black margin in frames of one video.

    Args:
        images: [H, W, 3] uint8, all of one size.  Dark ones are ignored; of the others the union,
            without outliers, is taken.

    Returns:
        The box in pixels; None where there is no margin, or nothing but dark frames.
    """
    boxes = []
    shape = None
    for image in images:
        shape = image.shape
        box = _box(image)
        if box is not None:
            boxes.append(box)
    if shape is None or not boxes:
        return None
    height, width = shape[:2]
    table = np.array(boxes)  # [n, 4]
    top, left = np.quantile(table[:, [0, 2]], 0.1, axis=0, method="lower")
    bottom, right = np.quantile(table[:, [1, 3]], 0.9, axis=0, method="higher")
    scale = height / _HEIGHT
    content = [
        max(0, int(top * scale)),
        min(height, int(np.ceil(bottom * scale))),
        max(0, int(left * scale)),
        min(width, int(np.ceil(right * scale))),
    ]
    return None if content == [0, height, 0, width] else content


def _box(image: np.ndarray) -> tuple[int, int, int, int] | None:
    """The content of one frame, in pixels of the reduced picture."""
    height, width = image.shape[:2]
    size = (max(2 * _IGNORED + 1, round(width * _HEIGHT / height)), _HEIGHT)
    grey = cv2.cvtColor(cv2.resize(image, size), cv2.COLOR_BGR2GRAY)
    bright = cv2.medianBlur((grey > _THRESHOLD).astype(np.uint8), _MEDIAN)
    rows = np.flatnonzero(bright[:, _IGNORED:-_IGNORED].any(1))
    columns = np.flatnonzero(bright[:, _IGNORED:-_IGNORED].any(0))
    if not len(rows):
        return None
    left, right = columns[0] + _IGNORED, columns[-1] + 1 + _IGNORED
    # What reaches the ignored columns may as well reach the edge.
    left = 0 if left == _IGNORED else left
    right = size[0] if right == size[0] - _IGNORED else right
    return int(rows[0]), int(rows[-1]) + 1, int(left), int(right)
