"""Which part of the picture does a training clip show, and how does it get its size?"""

import dataclasses

import cv2
import numpy as np

SCALES = (1.0, 0.875, 0.75, 0.66)
# Width and height are scaled by neighbouring scales at most, so that nothing is much distorted.
SCALE_PAIRS = tuple((w, h) for w in range(4) for h in range(4) if abs(w - h) <= 1)
# (left, top) in quarters of the room that the crop leaves: corners, centre, edges, quarter points.
OFFSETS = (
    *((0, 0), (4, 0), (0, 4), (4, 4)),
    (2, 2),
    *((2, 0), (0, 2), (4, 2), (2, 4)),
    *((1, 1), (3, 1), (1, 3), (3, 3)),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Crop:
    """A crop in terms that need no frame size: indices into SCALES and into OFFSETS."""

    width_scale: int
    height_scale: int
    offset: int


CENTRE_CROP = Crop(width_scale=0, height_scale=0, offset=OFFSETS.index((2, 2)))


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """A part of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


def multi_scale_crop(rng: np.random.Generator) -> Crop:
    """Draws a pair of scales and one of 13 offsets, both uniformly."""
    width_scale, height_scale = SCALE_PAIRS[rng.integers(len(SCALE_PAIRS))]
    return Crop(width_scale, height_scale, int(rng.integers(len(OFFSETS))))


def crop_box(crop: Crop, height: int, width: int) -> Box:
    """Returns where a crop lies in frames of `height` x `width` pixels."""
    short = min(height, width)
    box_width = max(1, int(short * SCALES[crop.width_scale]))
    box_height = max(1, int(short * SCALES[crop.height_scale]))
    left, top = OFFSETS[crop.offset]
    return Box(
        top=top * ((height - box_height) // 4),
        left=left * ((width - box_width) // 4),
        height=box_height,
        width=box_width,
    )


def crop_and_resize(frames: np.ndarray, box: Box, out: np.ndarray) -> None:
    """Writes the same box of every frame, resized bilinearly, into `out`.

    Args:
        frames: [T, H, W, 3] uint8.
        box: the part of each frame to keep.
        out: [T, size, size, 3] uint8, contiguous; every pixel is written.
    """
    size = out.shape[2], out.shape[1]
    rows = slice(box.top, box.top + box.height)
    columns = slice(box.left, box.left + box.width)
    for frame, target in zip(frames, out, strict=True):
        cv2.resize(frame[rows, columns], size, dst=target, interpolation=cv2.INTER_LINEAR)
