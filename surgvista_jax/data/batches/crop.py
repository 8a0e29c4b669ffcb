"""Crops: the part of the picture that a training clip shows, resized."""

import dataclasses
import math

import cv2
import numpy as np

from surgvista_jax.checks import check, shortened
from surgvista_jax.data.batches.randaugment import (
    RandAugmentConfig,
    apply_operations,
    draw_operations,
)

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
    """A crop, whatever the size of the frames: indices into SCALES and into OFFSETS."""

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


@dataclasses.dataclass(frozen=True, slots=True)
class AugmentConfig:
    """What finetuning does to a clip on the host; the rest is done to whole batches on the devices.

    Attributes:
        randaugment: the operations that come before the crop.
        min_area, max_area: bounds of the share of the frame's area that a crop shows.
        min_aspect, max_aspect: bounds of the width / height of a crop.
        flip: probability of mirroring left and right.
    """

    randaugment: RandAugmentConfig = RandAugmentConfig()
    min_area: float = 0.7
    max_area: float = 1.0
    min_aspect: float = 3 / 4
    max_aspect: float = 4 / 3
    flip: float = 0.5

    def __post_init__(self) -> None:
        for key, highest in (("area", 1), ("aspect", 100)):
            lower, upper = getattr(self, f"min_{key}"), getattr(self, f"max_{key}")
            if not 0 < lower <= upper <= highest:
                raise ValueError(
                    f"min_{key}={shortened(lower)}, max_{key}={shortened(upper)}: should be bounds"
                    f" above 0 and up to {highest}, the lower first"
                )
        check(self, "from 0 to 1", lambda share: 0 <= share <= 1, "flip")


def random_resized_crop(
    rng: np.random.Generator, height: int, width: int, config: AugmentConfig
) -> Box:
    """Draws a box of a uniform share of the area and a log-uniform width / height, anywhere.

    After ten draws that do not fit into the frame the box is the largest in the centre whose aspect
    is allowed. In a frame much wider than the widest crop that is almost always so: at 16:9 and the
    recipe's bounds crops hardly vary.
    """
    for _ in range(10):
        target = rng.uniform(config.min_area, config.max_area) * height * width
        ratio = math.exp(rng.uniform(math.log(config.min_aspect), math.log(config.max_aspect)))
        box_width, box_height = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            top = int(rng.integers(height - box_height + 1))
            return Box(top, int(rng.integers(width - box_width + 1)), box_height, box_width)
    box_width = max(1, min(width, round(height * config.max_aspect)))
    box_height = max(1, min(height, round(width / config.min_aspect)))
    return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)


def augment_clip(
    rng: np.random.Generator, frames: np.ndarray, config: AugmentConfig, out: np.ndarray
) -> None:
    """Writes a training clip into `out`: operations, crop and flip are the same for all frames.

    Args:
        frames: [T, H, W, 3] uint8, contiguous; stays as it is.
        out: [T, size, size, 3] uint8, contiguous; every pixel is written.
    """
    operations = draw_operations(rng, config.randaugment)
    height, width = frames.shape[1:3]
    box = random_resized_crop(rng, height, width, config)
    flipped = rng.random() < config.flip
    crop_and_resize(apply_operations(frames, operations), box, out)
    if flipped:
        for frame in out:
            cv2.flip(frame, 1, dst=frame)


def resize_clip(frames: np.ndarray, out: np.ndarray) -> None:
    """Writes whole frames, resized bilinearly to a square whatever their aspect: the test view."""
    crop_and_resize(frames, Box(0, 0, *frames.shape[1:3]), out)
