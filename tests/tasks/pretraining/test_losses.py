"""Targets and losses follow their definitions."""

import jax
import numpy as np
import pytest

from surgvista_jax.figures.denormalise import PLAIN, denormalise, squared_errors
from surgvista_jax.tasks.pretraining.losses import (
    FEATURE_LOSSES,
    ObjectiveConfig,
    feature_loss,
    normalise_features,
    pixel_loss,
    pixel_targets,
)


def test_pixel_targets_have_mean_0_and_unbiased_deviation_1_per_channel():
    patches = np.random.default_rng(0).integers(0, 256, (2, 3, 48), np.uint8)
    target = np.asarray(pixel_targets(patches), np.float64).reshape(2, 3, 16, 3)
    np.testing.assert_allclose(target.mean(2), 0, atol=1e-6)
    np.testing.assert_allclose(target.std(2, ddof=1), 1, atol=1e-4)


def test_a_patch_of_one_colour_gives_a_target_of_zero():
    assert abs(pixel_targets(np.full((1, 1, 48), 77, np.uint8))).max() < 0.1


def test_plain_targets_are_the_pixels_again_and_keep_brightness():
    patches = np.random.default_rng(0).integers(0, 256, (1, 4, 48), np.uint8)
    target = np.asarray(pixel_targets(patches, "plain"))
    ids = np.arange(4)[None]
    shown = denormalise(target, patches, ids[:, :0], ids, (1, 2, 2), PLAIN)
    np.testing.assert_array_equal(np.rint(255 * shown), patches)
    assert squared_errors(target, patches, ids, plain=True)[0] < 1e-10
    assert pixel_targets(patches // 2, "plain").mean() < target.mean() - 0.5


def test_targets_do_not_depend_on_brightness_or_contrast():
    patches = np.random.default_rng(0).integers(0, 100, (1, 2, 48), np.uint8)
    np.testing.assert_allclose(pixel_targets(patches), pixel_targets(patches * 2 + 5), atol=1e-4)


@pytest.mark.parametrize("name", FEATURE_LOSSES)
def test_feature_losses_vanish_only_where_right_and_grow_with_the_error(name):
    config = ObjectiveConfig(feature_loss=name)
    target = np.zeros((1, 1, 4), np.float32)
    at = [float(feature_loss(target + error, target, config)) for error in (0, 0.5, 1, 3)]
    expected = {"l1": [0, 0.5, 1, 3], "l2": [0, 0.25, 1, 9], "smooth_l1": [0, 0.125, 0.5, 2.5]}
    np.testing.assert_allclose(at, expected[name])


def test_normalised_features_forget_scale_and_offset():
    features = jax.random.normal(jax.random.key(0), (2, 3, 64))
    np.testing.assert_allclose(
        normalise_features(features), normalise_features(5 * features + 3), atol=1e-4
    )


def test_pixel_loss_is_the_mean_square():
    assert pixel_loss(np.full((1, 2, 3), 2.0), np.zeros((1, 2, 3))) == 4


def test_unknown_feature_loss():
    with pytest.raises(ValueError, match="smooth_l1"):
        ObjectiveConfig(feature_loss="huber")
