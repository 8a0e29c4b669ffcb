"""Does each operation of RandAugment do to every frame what Pillow, which defines it, does?"""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgvista_jax.data.batches.randaugment import OPERATIONS
from tests.support.pillow_operations import defined, shown_from

EXACT = ("auto_contrast", "equalize", "invert", "posterize", "solarize", "solarize_add")
SHIFTS = ("shear_x", "shear_y", "translate_x", "translate_y")
# Levels of the recipe, and the extremes that the policy can draw.
LEVELS = (0.0, 0.3, 5.7, 7.0, 8.2, 10.0)


def clips() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (3, 37, 52, 3), np.uint8)
    smooth = np.stack([cv2.GaussianBlur(frame, (0, 0), 3) for frame in noise])
    stretched = np.clip((smooth.astype(float) - 128) * 4 + 128, 0, 255).astype(np.uint8)
    few = (noise // 86 * 40 + 30).astype(np.uint8)
    one = np.full((1, 37, 52, 3), 90, np.uint8)
    one[..., 1] = 255
    return {"noise": noise, "narrow": smooth, "smooth": stretched, "few": few, "one": one}


CLIPS = clips()


def cases():
    for name, (_, argument) in OPERATIONS.items():
        if name == "rotate":  # has a test of its own
            continue
        found = {argument and argument(level, sign) for level in LEVELS for sign in (1, -1)}
        for value in sorted(found, key=str):
            if name != "posterize" or value > 0:  # Pillow refuses to keep no bits
                yield name, value


def applied(name, clip, argument, before=0):
    target = np.full_like(clip, before)
    OPERATIONS[name][0](clip, target, *(() if argument is None else (argument,)))
    return target


@pytest.mark.parametrize(("name", "argument"), list(cases()))
def test_agrees_with_pillow(name, argument):
    # Both round to 8 bits, after sums in another order and with the grey in between rounded or not:
    # no more than one level can come of it. Tables have no such choice.
    tolerance = 0 if name in EXACT else 1
    for kind, clip in CLIPS.items():
        difference = applied(name, clip, argument).astype(int) - defined(name, clip, argument)
        assert np.abs(difference).max() <= tolerance, kind
        # Values are cut off as Pillow does: rounding would differ in almost half of them. At about
        # half a pixel one in eight lies a hair below an integer, where the two may differ.
        if name in SHIFTS:
            assert np.abs(difference).mean() < 0.2, kind


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SHIFTS), st.floats(-1.5, 1.5), st.integers(1, 12), st.integers(1, 12))
def test_any_shift_of_any_picture_agrees_with_pillow(name, argument, height, width):
    """Also whole pixels, the edges of pictures smaller than the filter, and nothing left."""
    clip = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    # A middle that comes from the very edge may fall to either side of it.
    come_from = shown_from(name, argument, height, width)
    nearest = np.array([width, height])
    clear = (np.abs(come_from) > 1e-6).all(-1) & (np.abs(come_from - nearest) > 1e-6).all(-1)
    difference = applied(name, clip, argument).astype(int) - defined(name, clip, argument)
    assert np.abs(difference[:, clear]).max(initial=0) <= 1


@pytest.mark.parametrize("degrees", [-30.0, -17.3, 9.0, 21.0, 30.0])
def test_rotation_agrees_with_pillow_up_to_the_kernel(degrees):
    """Inside, and in the grey outside; at the edge OpenCV blends where Pillow cuts."""
    clip = CLIPS["smooth"]
    _, height, width, _ = clip.shape
    come_from = shown_from("rotate", degrees, height, width)
    margin = np.minimum(come_from, [width, height] - come_from).min(-1)
    inside, outside = margin > 2, margin < -2
    found = applied("rotate", clip, degrees).astype(int)
    difference = np.abs(found - defined("rotate", clip, degrees))
    # OpenCV's kernel has a = -0.75 and 32 steps a pixel, Pillow's a = -1 and any: on a picture
    # without single bright pixels that is about a level, plus half a one that Pillow cuts off.
    assert difference[:, inside].mean() < 1
    assert difference[:, inside].max() <= 6
    assert (found[:, outside] == 128).all() and outside.any()


def test_rotation_turns_the_same_way():
    """A mistaken sign or centre is far outside the tolerance above."""
    clip = CLIPS["smooth"]
    right, wrong = (defined("rotate", clip, degrees).astype(int) for degrees in (20.0, -20.0))
    found = applied("rotate", clip, 20.0)
    assert np.abs(found - right).mean() < 0.1 * np.abs(found - wrong).mean()


@pytest.mark.parametrize("name", OPERATIONS)
def test_writes_every_pixel_and_leaves_the_source(name):
    argument = OPERATIONS[name][1] and OPERATIONS[name][1](7.0, -1)
    clip = CLIPS["smooth"].copy()
    one, other = (applied(name, clip, argument, before) for before in (0, 201))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(clip, CLIPS["smooth"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_frames_do_not_depend_on_one_another(name):
    argument = OPERATIONS[name][1] and OPERATIONS[name][1](7.0, 1)
    clip = CLIPS["noise"]
    together = applied(name, clip, argument)
    for place in range(len(clip)):
        alone = applied(name, np.ascontiguousarray(clip[place : place + 1]), argument)
        np.testing.assert_array_equal(together[place], alone[0])


def test_posterize_may_keep_nothing():
    assert not applied("posterize", CLIPS["noise"], 0).any()
    np.testing.assert_array_equal(applied("posterize", CLIPS["noise"], 8), CLIPS["noise"])
