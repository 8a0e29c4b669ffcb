"""Is the policy the recipe's: which operations, how often, how strong, the same for all frames?"""

import collections

import numpy as np
import pytest

from surgvista_jax.config import build
from surgvista_jax.data.batches.randaugment import (
    OPERATIONS,
    Operation,
    RandAugmentConfig,
    apply_operations,
    draw_operations,
)

# What level 7 of 10 means for each operation, written out from the increasing set.
AT_LEVEL_7 = {
    "auto_contrast": None,
    "equalize": None,
    "invert": None,
    "rotate": 21.0,
    "posterize": 2,
    "solarize": 256 - 179,
    "solarize_add": 77,
    "color": 1.63,
    "contrast": 1.63,
    "brightness": 1.63,
    "sharpness": 1.63,
    "shear_x": 0.21,
    "shear_y": 0.21,
    "translate_x": 0.315,
    "translate_y": 0.315,
}
SYMMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
BLENDS = ("color", "contrast", "brightness", "sharpness")


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_argument_of_level_7(name):
    _, argument = OPERATIONS[name]
    assert set(OPERATIONS) == set(AT_LEVEL_7)
    if argument is None:
        assert AT_LEVEL_7[name] is None
        return
    assert argument(7.0, 1) == pytest.approx(AT_LEVEL_7[name])
    other = {**dict.fromkeys(SYMMETRIC, -AT_LEVEL_7[name]), **dict.fromkeys(BLENDS, 0.37)}
    assert argument(7.0, -1) == pytest.approx(other.get(name, AT_LEVEL_7[name]))


def test_a_higher_level_keeps_fewer_bits_and_inverts_more():
    levels = (0.0, 2.4, 2.5, 6.0, 7.5, 10.0)
    assert [OPERATIONS["posterize"][1](level, 1) for level in levels] == [4, 4, 3, 2, 1, 0]
    solarize = [OPERATIONS["solarize"][1](level, 1) for level in levels]
    assert solarize == [256, 195, 192, 103, 64, 0]


def test_level_0_changes_nothing():
    """The increasing set does more at a higher level, and nothing at the lowest."""
    clip = np.random.default_rng(0).integers(0, 256, (2, 12, 16, 3), np.uint8)
    for name, (_, argument) in OPERATIONS.items():
        if argument is None or name == "posterize":  # which keeps 4 bits even then
            continue
        for sign in (1, -1):
            operations = [Operation(name, argument(0.0, sign))]
            changed = apply_operations(clip, operations).astype(int) - clip
            # Rotation by nothing still goes through the fixed point of the warp: exact as well.
            assert np.abs(changed).max() <= (1 if name in ("color", "sharpness") else 0), name


def test_operations_are_drawn_evenly_and_applied_half_of_the_time():
    rng = np.random.default_rng(0)
    drawn = [draw_operations(rng, RandAugmentConfig()) for _ in range(15_000)]
    sizes = collections.Counter(map(len, drawn))
    # Binomial(4, 1/2), and 2,000 of each name; five standard deviations.
    for size, share in enumerate((1, 4, 6, 4, 1)):
        expected = 15_000 * share / 16
        assert abs(sizes[size] - expected) < 5 * expected**0.5
    names = collections.Counter(operation.name for found in drawn for operation in found)
    assert set(names) == set(OPERATIONS)
    assert 2_000 - 5 * 2_000**0.5 < min(names.values()) <= max(names.values())
    assert max(names.values()) < 2_000 + 5 * 2_000**0.5
    # With replacement: an operation may come twice in one clip.
    assert any(len({operation.name for operation in found}) < len(found) for found in drawn)


def test_levels_are_normal_and_signs_even():
    rng = np.random.default_rng(0)
    config = RandAugmentConfig(operations=15, probability=1.0)
    angles = np.array(
        [
            operation.argument / 3
            for _ in range(6_000)
            for operation in draw_operations(rng, config)
            if operation.name == "rotate"
        ]
    )
    assert abs((angles > 0).mean() - 0.5) < 5 * 0.5 / len(angles) ** 0.5
    levels = np.abs(angles)
    assert abs(levels.mean() - 7) < 5 * 0.5 / len(levels) ** 0.5
    assert abs(levels.std() - 0.5) < 0.02


def test_levels_are_cut_off():
    rng = np.random.default_rng(0)
    config = RandAugmentConfig(operations=15, probability=1.0, level=9.0, level_std=10.0)
    drawn = [operation for _ in range(300) for operation in draw_operations(rng, config)]
    angles = [abs(operation.argument) for operation in drawn if operation.name == "rotate"]
    assert max(angles) == 30.0 and min(angles) == 0.0


def test_the_same_seed_draws_the_same():
    config = RandAugmentConfig()
    one, other = [draw_operations(np.random.default_rng(s), config) for s in (3, 3)]
    assert one == other
    assert len({draw_operations(np.random.default_rng(s), config) for s in range(50)}) > 40


def test_operations_come_one_after_another():
    clip = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), np.uint8)
    operations = [
        Operation("brightness", 1.6),
        Operation("invert"),
        Operation("sharpness", 0.4),
        Operation("shear_x", 0.2),
        Operation("sharpness", 1.6),
        Operation("posterize", 2),
        Operation("rotate", -10.0),
    ]
    kept = clip.copy()
    for count in range(len(operations) + 1):
        expected = clip
        for operation in operations[:count]:
            expected = apply_operations(expected, [operation])
        np.testing.assert_array_equal(apply_operations(clip, operations[:count]), expected)
    np.testing.assert_array_equal(clip, kept)


def test_nothing_to_do_is_the_clip_itself():
    clip = np.zeros((1, 4, 4, 3), np.uint8)
    assert apply_operations(clip, ()) is clip
    off = RandAugmentConfig(operations=0)
    assert draw_operations(np.random.default_rng(0), off) == ()


@pytest.mark.parametrize(
    ("key", "value"), [("probability", 1.5), ("level", 11), ("level_std", -1), ("operations", -1)]
)
def test_settings_that_mean_nothing_are_refused(key, value):
    with pytest.raises(ValueError, match=f"^{key}={value}: should be from 0 to"):
        RandAugmentConfig(**{key: value})


def test_a_configuration_can_hold_it():
    assert build(RandAugmentConfig, {"operations": 2}) == RandAugmentConfig(operations=2)
