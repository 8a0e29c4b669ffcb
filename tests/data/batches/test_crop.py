"""Do crops draw from the recipes' boxes, and does the whole clip get the same treatment?"""

import collections

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgvista_jax.config import build
from surgvista_jax.data.batches.crop import (
    CENTRE_CROP,
    OFFSETS,
    SCALE_PAIRS,
    AugmentConfig,
    Box,
    Crop,
    augment_clip,
    crop_and_resize,
    crop_box,
    multi_scale_crop,
    random_resized_crop,
    resize_clip,
)
from surgvista_jax.data.batches.randaugment import (
    RandAugmentConfig,
    apply_operations,
    draw_operations,
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


def test_resized_crops_have_the_areas_and_aspects_of_the_recipe():
    rng = np.random.default_rng(0)
    boxes = [random_resized_crop(rng, 600, 640, AugmentConfig()) for _ in range(4_000)]
    for box in boxes:
        assert 0 <= box.top and box.top + box.height <= 600
        assert 0 <= box.left and box.left + box.width <= 640
    areas = np.array([box.height * box.width / (600 * 640) for box in boxes])
    aspects = np.array([box.width / box.height for box in boxes])
    # Sides are rounded to whole pixels: half a pixel of 400 is 0.1 %, on two sides.
    assert 0.7 * 0.997 < areas.min() and areas.max() <= 1
    assert 0.75 * 0.997 < aspects.min() and aspects.max() < 4 / 3 * 1.003
    assert len(set(boxes)) > 3_500


def test_resized_crops_are_uniform_in_area_and_log_uniform_in_aspect_where_all_fit():
    rng = np.random.default_rng(0)
    config = AugmentConfig(min_area=0.2, max_area=0.5)
    boxes = [random_resized_crop(rng, 1000, 1000, config) for _ in range(6_000)]
    areas = np.array([box.height * box.width / 1e6 for box in boxes])
    logs = np.log([box.width / box.height for box in boxes])
    tops = np.array([box.top / max(1, 1000 - box.height) for box in boxes])
    lefts = np.array([box.left / max(1, 1000 - box.width) for box in boxes])
    bounds = ((0.2, 0.5), (np.log(3 / 4), np.log(4 / 3)), (0, 1), (0, 1))
    for values, (low, high) in zip((areas, logs, tops, lefts), bounds, strict=True):
        counts, _ = np.histogram(values, 10, (low - 0.002, high + 0.002))
        # 600 expected each; five standard deviations, and rounding at the ends.
        assert abs(counts - 600).max() < 5 * 600**0.5 + 20


def test_the_aspect_is_width_by_height():
    config = AugmentConfig(min_aspect=4 / 3, min_area=0.3, max_area=0.5)
    for seed in range(10):
        box = random_resized_crop(np.random.default_rng(seed), 1200, 1200, config)
        assert abs(box.width / box.height - 4 / 3) < 0.005  # sides are rounded


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [
        (256, 1024, Box(0, 341, 256, 341)),  # too wide: 4 / 3 of the height, in the centre
        (1000, 90, Box(440, 0, 120, 90)),  # too tall: 4 / 3 of the width
        (1, 1, Box(0, 0, 1, 1)),
    ],
)
def test_a_frame_that_no_crop_fits_shows_its_centre(height, width, box):
    assert random_resized_crop(np.random.default_rng(0), height, width, AugmentConfig()) == box


def test_a_training_clip_is_operations_then_crop_then_flip():
    """The same for every frame: two equal frames stay equal, whatever is drawn."""
    picture = np.random.default_rng(0).integers(0, 255, (50, 60, 3), np.uint8)
    other = np.random.default_rng(1).integers(0, 255, (50, 60, 3), np.uint8)
    frames = np.stack([picture, other, picture])
    kept, config, flips = frames.copy(), AugmentConfig(), 0
    for seed in range(40):
        out = np.zeros((3, 32, 32, 3), np.uint8)
        augment_clip(np.random.default_rng(seed), frames, config, out)
        rng = np.random.default_rng(seed)
        expected = apply_operations(frames, draw_operations(rng, config.randaugment))
        box = random_resized_crop(rng, 50, 60, config)
        plain = np.zeros_like(out)
        crop_and_resize(expected, box, plain)
        flipped = rng.random() < 0.5
        flips += flipped
        np.testing.assert_array_equal(out, plain[:, :, ::-1] if flipped else plain)
        np.testing.assert_array_equal(out[0], out[2])
    assert 10 < flips < 30
    np.testing.assert_array_equal(frames, kept)


def test_evaluation_shows_the_whole_frame_whatever_its_aspect():
    frames = np.random.default_rng(0).integers(0, 255, (2, 40, 90, 3), np.uint8)
    out = np.zeros((2, 24, 24, 3), np.uint8)
    resize_clip(frames, out)
    for frame, target in zip(frames, out, strict=True):
        # OpenCV's weights have 11 bits: a rounding more than the definition's.
        assert np.abs(target - bilinear(frame, 24)).max() <= 1


def bilinear(image: np.ndarray, size: int) -> np.ndarray:
    """The value between the four pixels around each middle, those at the edge repeated."""
    height, width, _ = image.shape
    y = np.clip((np.arange(size) + 0.5) * height / size - 0.5, 0, height - 1)
    x = np.clip((np.arange(size) + 0.5) * width / size - 0.5, 0, width - 1)
    top, left = y.astype(int), x.astype(int)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    dy, dx = (y - top)[:, None, None], (x - left)[None, :, None]
    upper = image[top][:, left] * (1 - dx) + image[top][:, right] * dx
    lower = image[bottom][:, left] * (1 - dx) + image[bottom][:, right] * dx
    return upper * (1 - dy) + lower * dy


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_area": 0.0}, r"^min_area=0.0"),
        ({"max_area": 1.5}, r"max_area=1.5"),
        ({"min_aspect": 2.0}, r"^min_aspect=2.0, max_aspect=1.3"),
        ({"flip": 2.0}, r"^flip=2.0"),
    ],
)
def test_augmentation_that_means_nothing_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        AugmentConfig(**values)


def test_a_configuration_can_hold_the_augmentation():
    values = {"flip": 0.0, "randaugment": {"operations": 0}}
    expected = AugmentConfig(flip=0.0, randaugment=RandAugmentConfig(operations=0))
    assert build(AugmentConfig, values) == expected
