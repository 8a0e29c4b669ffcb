"""Does the crop draw from the recipe's boxes, and is one box used for the whole clip?"""

import collections

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgvista_jax.data.augment import (
    CENTRE_CROP,
    OFFSETS,
    SCALE_PAIRS,
    Box,
    Crop,
    crop_and_resize,
    crop_box,
    multi_scale_crop,
)

SIDES = st.integers(1, 700)
CROPS = st.builds(
    lambda pair, offset: Crop(*pair, offset),
    st.sampled_from(SCALE_PAIRS),
    st.integers(0, len(OFFSETS) - 1),
)


def test_boxes_are_those_of_the_recipe():
    """Frames of 457 x 256: every box written out from recipe.md section 2."""
    sides = [256, 224, 192, 168]  # int(256 * 0.66) = int(168.96)
    expected = set()
    for i, box_width in enumerate(sides):
        for j, box_height in enumerate(sides):
            if abs(i - j) > 1:
                continue
            right, down = (457 - box_width) // 4, (256 - box_height) // 4
            for x, y in [
                *[(0, 0), (4, 0), (0, 4), (4, 4), (2, 2)],
                *[(2, 0), (2, 4), (0, 2), (4, 2)],
                *[(1, 1), (3, 1), (1, 3), (3, 3)],
            ]:
                expected.add(Box(y * down, x * right, box_height, box_width))
    drawn = {
        crop_box(Crop(*pair, offset), 256, 457)
        for pair in SCALE_PAIRS
        for offset in range(len(OFFSETS))
    }
    assert drawn == expected
    assert (len(SCALE_PAIRS), len(set(OFFSETS))) == (10, 13)


@given(CROPS, SIDES, SIDES)
def test_boxes_lie_in_the_frame(crop, height, width):
    box = crop_box(crop, height, width)
    assert 0 <= box.top and box.top + box.height <= height
    assert 0 <= box.left and box.left + box.width <= width
    assert box.height >= 1 and box.width >= 1


@given(SIDES, SIDES)
def test_the_centre_crop_keeps_the_short_side_and_the_middle(height, width):
    box = crop_box(CENTRE_CROP, height, width)
    assert box.height == box.width == min(height, width)
    # The offset is a multiple of a whole quarter of the room, which may lose up to 3 pixels.
    assert 0 <= (height - box.height) - 2 * box.top <= 3
    assert 0 <= (width - box.width) - 2 * box.left <= 3


def test_scales_and_offsets_are_drawn_uniformly():
    rng = np.random.default_rng(0)
    counts = collections.Counter(multi_scale_crop(rng) for _ in range(26_000))
    assert len(counts) == 130
    # 200 expected each; five standard deviations of a Poisson number, with 130 chances to miss.
    assert 200 - 5 * 200**0.5 < min(counts.values()) <= max(counts.values()) < 200 + 5 * 200**0.5


def test_every_frame_shows_the_same_box():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (4, 40, 60, 3), np.uint8)
    box = Box(top=3, left=17, height=30, width=20)
    out = np.zeros((4, 16, 16, 3), np.uint8)
    crop_and_resize(frames, box, out)
    for frame, target in zip(frames, out, strict=True):
        wanted = cv2.resize(frame[3:33, 17:37], (16, 16), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(target, wanted)


def test_a_box_of_the_right_size_is_copied_unflipped():
    frames = np.random.default_rng(0).integers(0, 255, (2, 20, 24, 3), np.uint8)
    out = np.zeros((2, 16, 16, 3), np.uint8)
    crop_and_resize(frames, Box(top=2, left=5, height=16, width=16), out)
    np.testing.assert_array_equal(out, frames[:, 2:18, 5:21])


def test_width_and_height_are_not_confused():
    """Columns that grow brighter to the right stay so in a crop from the right half."""
    frames = np.broadcast_to(np.arange(120, dtype=np.uint8)[:, None], (1, 40, 120, 3)).copy()
    out = np.zeros((1, 8, 8, 3), np.uint8)
    crop_and_resize(frames, crop_box(Crop(0, 0, OFFSETS.index((4, 0))), 40, 120), out)
    assert (np.diff(out[0, 0, :, 0].astype(int)) > 0).all()
    assert out.min() >= 80


def test_frames_and_targets_must_be_as_many():
    with pytest.raises(ValueError, match="zip"):
        crop_and_resize(
            np.zeros((3, 8, 8, 3), np.uint8), Box(0, 0, 8, 8), np.zeros((2, 4, 4, 3), np.uint8)
        )
