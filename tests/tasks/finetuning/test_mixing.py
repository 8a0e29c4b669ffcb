"""Do erasing, mixup, cutmix and smoothing follow their definitions, on one device as on eight?"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.config import build
from surgvista_jax.models.patches import normalise
from surgvista_jax.tasks.finetuning.mixing import (
    ERASED_AREA,
    ERASED_ASPECT,
    MixConfig,
    augment_batch,
    draw_cut_box,
    draw_erased_boxes,
    erase,
    mix,
    smooth_targets,
)
from surgvista_jax.training.partition import MeshConfig, batch_sharding, make_mesh

SIDE = 16
OFF = MixConfig(erase=0, mixup=0, cutmix=0, smoothing=0)


def keys(count):
    return jax.random.split(jax.random.key(0), count)


def clips(count=4, frames=3, side=SIDE):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, frames, side, side, 3), np.uint8)


def normal(count=4):
    return normalise(jnp.asarray(clips(count)), jnp.float32)


def targets(count=4, num_classes=5):
    return jnp.eye(num_classes, dtype=jnp.float32)[jnp.arange(count) % num_classes]


def test_smoothing_spreads_its_part_evenly():
    found = smooth_targets(jnp.array([2, 0]), 4, 0.1)
    expected = [[0.025, 0.025, 0.925, 0.025], [0.925, 0.025, 0.025, 0.025]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(smooth_targets(jnp.array([1]), 3, 0.0), [[0, 1, 0]])


def test_erased_boxes_have_the_areas_and_aspects_of_the_definition():
    boxes = np.asarray(draw_erased_boxes(jax.random.key(1), 20_000, 224, 224))
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (top + height <= 224).all()
    assert (left >= 0).all() and (left + width <= 224).all()
    assert (np.maximum(height, width) < 224).all()
    # Sides are rounded to whole pixels; the smallest side is 17.
    area, aspect = height * width / 224**2, height / width
    assert ERASED_AREA[0] * 0.95 < area.min() < 0.021 and 0.32 < area.max() < ERASED_AREA[1] * 1.02
    assert ERASED_ASPECT[0] * 0.97 < aspect.min() < 0.31
    assert 3.2 < aspect.max() < ERASED_ASPECT[1] * 1.03
    for values, low, high in (
        (area, *ERASED_AREA),
        (np.log(aspect), *np.log(ERASED_ASPECT)),
        (top / (225 - height), 0, 1),
        (left / (225 - width), 0, 1),
    ):
        counts, _ = np.histogram(values, 8, (low - 0.01 * (high - low), high + 0.01 * (high - low)))
        # 2,500 each; at the ends less by the margin's 8 % and by what does not fit (0.5 % of all,
        # the largest), in the middle a little more.
        assert abs(counts / 2_500 - 1).max() < 0.18


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_erasing_fills_one_box_of_all_frames_with_new_noise(dtype):
    video = jnp.full((64, 3, 32, 32, 3), 9.0, dtype)  # no noise comes near it
    erased = np.asarray(erase(jax.random.key(0), video, 1.0).astype(jnp.float32))
    boxes = np.asarray(draw_erased_boxes(jax.random.split(jax.random.key(0), 3)[1], 64, 32, 32))
    for clip, (top, left, height, width) in zip(erased, boxes, strict=True):
        inside = np.zeros((32, 32), bool)
        inside[top : top + height, left : left + width] = True
        assert inside.any()
        assert (clip[:, ~inside] == 9).all() and (clip[:, inside] != 9).all()
    noise = erased[erased != 9]
    # More than 50,000 values: the standard errors are below 0.005.
    assert noise.size > 50_000
    assert abs(noise.mean()) < 0.025 and abs(noise.std() - 1) < 0.025
    assert noise.max() > 3.5 and noise.min() < -3.5
    if dtype == jnp.float32:
        assert len(np.unique(noise)) > 0.99 * noise.size  # another for every frame and pixel


def test_a_quarter_of_the_clips_is_erased():
    video = jnp.full((1_000, 1, 8, 8, 3), 9.0)
    erased = erase(jax.random.key(0), video, 0.25)
    count = int((erased != 9).any(axis=(1, 2, 3, 4)).sum())
    assert abs(count - 250) < 5 * (1_000 * 0.25 * 0.75) ** 0.5
    assert (erase(jax.random.key(0), video, 0.0) == video).all()


def shares_of(target, num_classes=5):
    """How much of its own class each clip kept, where neighbours have different classes."""
    return np.take_along_axis(
        np.asarray(target), (np.arange(len(target)) % num_classes)[:, None], axis=1
    )[:, 0]


def test_mixup_is_a_weighted_sum_of_clips_and_of_targets():
    video, target = normal(), targets()
    config = dataclasses.replace(OFF, mixup=0.8)
    for key in keys(5):
        mixed, soft = mix(key, video, target, config)
        share = shares_of(soft)[0]
        other = np.array([1, 0, 3, 2])
        expected = share * np.asarray(video) + (1 - share) * np.asarray(video)[other]
        np.testing.assert_allclose(
            mixed, expected, rtol=0, atol=1e-5
        )  # float32 sums of a few units
        expected = share * np.asarray(target) + (1 - share) * np.asarray(target)[other]
        np.testing.assert_allclose(soft, expected, atol=1e-6)


def test_cutmix_fills_a_box_and_weighs_the_targets_by_its_area():
    video, target = np.asarray(normal()), targets()
    config = dataclasses.replace(OFF, cutmix=1.0)
    other = video[[1, 0, 3, 2]]
    areas = []
    for key in keys(20):
        mixed, soft = map(np.asarray, mix(key, jnp.asarray(video), target, config))
        filled = (mixed == other).all(axis=(0, 1, 4)) & (mixed != video).any(axis=(0, 1, 4))
        np.testing.assert_array_equal(mixed[:, :, ~filled], video[:, :, ~filled])
        np.testing.assert_array_equal(mixed[:, :, filled], other[:, :, filled])
        rows, columns = filled.any(1), filled.any(0)
        np.testing.assert_array_equal(filled, rows[:, None] & columns[None])  # a box
        for line in (rows, columns):
            assert np.count_nonzero(np.diff(line.astype(int))) <= 2
        np.testing.assert_allclose(shares_of(soft), 1 - filled.mean(), atol=1e-6)
        np.testing.assert_allclose(soft.sum(1), 1, atol=1e-6)
        areas.append(filled.mean())
    assert len(set(areas)) > 10


def test_cut_boxes_are_those_of_the_definition():
    """1 - share of the area about a centre that lies anywhere, and what of it lies inside."""
    for key, share in zip(keys(50), np.linspace(0, 1, 50), strict=True):
        top, left, height, width = map(int, draw_cut_box(key, jnp.float32(share), 40, 60))
        full = [int(side * np.float32(1 - np.float32(share)) ** 0.5) // 2 * 2 for side in (40, 60)]
        assert 0 <= top <= top + height <= 40 and 0 <= left <= left + width <= 60
        # At least half of each side lies inside, and all of it unless the picture's edge cuts it.
        assert full[0] // 2 - 1 <= height <= full[0] and full[1] // 2 - 1 <= width <= full[1]
        assert height == full[0] or top == 0 or top + height == 40
        assert width == full[1] or left == 0 or left + width == 60


def test_shares_have_the_distribution_of_their_alpha():
    video, target = jnp.zeros((2, 1, 4, 4, 3)), targets(2)
    config = dataclasses.replace(OFF, mixup=0.8)
    share = np.asarray(jax.vmap(lambda key: mix(key, video, target, config)[1][0, 0])(keys(4_000)))
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
    assert abs(share.mean() - 0.5) < 0.03
    assert abs(share.var() - 1 / (4 * 2.6)) < 0.006


def test_half_of_the_batches_get_cutmix():
    video = jnp.stack([jnp.zeros((1, 8, 8, 3)), jnp.ones((1, 8, 8, 3))])
    mixed = jax.vmap(lambda key: mix(key, video, targets(2), MixConfig())[0])(keys(1_000))
    cut = int(((mixed == 0) | (mixed == 1)).all(axis=(1, 2, 3, 4, 5)).sum())
    assert abs(cut - 500) < 5 * 250**0.5


def test_a_batch_that_cannot_be_paired_is_refused():
    with pytest.raises(ValueError, match="in pairs: a batch of 3"):
        mix(jax.random.key(0), normal(3), targets(3), MixConfig())


def test_all_off_is_normalisation_alone():
    video, label = clips(3), jnp.array([1, 0, 2])
    pixels, target = augment_batch(
        jax.random.key(0), jnp.asarray(video), label, OFF, num_classes=3, dtype=jnp.float32
    )
    np.testing.assert_array_equal(pixels, normalise(jnp.asarray(video), jnp.float32))
    np.testing.assert_array_equal(target, np.eye(3)[[1, 0, 2]])


def test_several_labels_a_clip_stay_as_they_are():
    label = jnp.array([[1.0, 1, 0], [0, 0, 0]])
    config = dataclasses.replace(OFF, smoothing=0.1)
    _, target = augment_batch(
        jax.random.key(0), jnp.asarray(clips(2)), label, config, num_classes=3, dtype=jnp.bfloat16
    )
    np.testing.assert_array_equal(target, label)


def test_the_key_decides():
    def run(key):
        arrays = jnp.asarray(clips()), jnp.arange(4)
        return augment_batch(key, *arrays, MixConfig(), num_classes=5, dtype=jnp.float32)

    one, same, other = (jax.tree.leaves(run(jax.random.key(seed))) for seed in (1, 1, 2))
    for a, b, c in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_eight_devices_do_what_one_does_and_exchange_no_pixels():
    video, label = clips(16), np.arange(16, dtype=np.int32) % 5

    def run(key, video, label):
        return augment_batch(key, video, label, MixConfig(), num_classes=5, dtype=jnp.float32)

    alone = jax.jit(run)(jax.random.key(4), video, label)
    sharding = batch_sharding(make_mesh(MeshConfig(data=4, fsdp=2)))
    arrays = [jax.device_put(array, sharding) for array in (video, label)]
    program = jax.jit(run, out_shardings=sharding).lower(jax.random.key(4), *arrays).compile()
    together = program(jax.random.key(4), *arrays)
    for a, b in zip(alone, together, strict=True):
        # Another program may contract a product and a sum into one rounding.
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    text = program.as_text()
    for exchange in ("all-to-all", "all-gather", "collective-permute", "all-reduce"):
        assert exchange not in text


@pytest.mark.parametrize(("key", "value"), [("erase", 1.5), ("mixup", -1.0), ("smoothing", 2.0)])
def test_settings_that_mean_nothing_are_refused(key, value):
    with pytest.raises(ValueError, match=f"{key}={value}"):
        MixConfig(**{key: value})


def test_a_configuration_can_hold_it():
    assert build(MixConfig, {"mixup": 0}) == MixConfig(mixup=0.0)
