"""Are predictions brought back to pixels by the statistics that are asked for, and by no others?"""

import numpy as np
import pytest

from surgvista_jax.data.batches.masking import MASKS
from surgvista_jax.figures.denormalise import STATISTICS, assemble, denormalise, squared_errors
from surgvista_jax.models.patches import patchify
from surgvista_jax.tasks.pretraining import losses
from tests.support.masked_clips import (
    GRID,
    PATCH,
    TUBELET,
    hidden_patches,
    make_batch,
    patches_of,
    targets,
)


@pytest.fixture(params=MASKS)
def batch(request):
    return make_batch(request.param)


def undo(batch, predicted, statistics):
    ids = batch["visible_ids"], batch["hidden_ids"]
    return denormalise(predicted, patches_of(batch), *ids, GRID, statistics)


def rebuild(batch, pixels):
    return assemble(pixels, patches_of(batch), batch["hidden_ids"], GRID, TUBELET, PATCH)


def test_with_their_own_statistics_perfect_predictions_give_the_input(batch):
    pixels = undo(batch, targets(batch), "target")
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, hidden_patches(batch) / 255, atol=1e-5)
    np.testing.assert_array_equal(rebuild(batch, pixels), batch["video"])


def test_with_visible_statistics_nothing_of_a_hidden_patch_is_used(batch):
    other = {**batch, "video": rebuild(batch, np.float32(0))}
    assert (other["video"] != batch["video"]).any()
    predicted = targets(batch)
    np.testing.assert_array_equal(
        undo(batch, predicted, "visible"), undo(other, predicted, "visible")
    )
    assert (undo(batch, predicted, "target") != undo(other, predicted, "target")).any()


def test_visible_statistics_are_those_of_the_visible_patches_where_these_agree(batch):
    # Every patch is black but for one white pixel: all have the same mean and deviation.
    video = np.zeros_like(batch["video"])
    video[:, ::TUBELET, ::PATCH, ::PATCH] = 255
    batch = {**batch, "video": video}
    pixels = undo(batch, targets(batch), "visible")
    np.testing.assert_allclose(pixels, hidden_patches(batch) / 255, atol=1e-5)


def test_under_a_tube_mask_statistics_come_from_the_same_slice_of_time():
    batch = make_batch("tube")
    batch["video"][:, :2], batch["video"][:, 2:] = 40, 200
    pixels = undo(batch, np.zeros_like(targets(batch)), "visible")
    np.testing.assert_allclose(pixels, hidden_patches(batch) / 255, atol=1e-5)


def test_nearer_visible_patches_count_for_more():
    video = np.zeros((1, 2, 8, 40, 3), np.uint8)
    video[..., :8, :] = 255  # the leftmost of five patches in a row
    visible_ids, hidden_ids = np.array([[0, 4]]), np.array([[1, 2, 3]])
    patches = patchify(video, 2, 8)
    grey = denormalise(
        np.zeros((1, 3, 384)), patches, visible_ids, hidden_ids, (1, 1, 5), "visible"
    )
    left, middle, right = grey[0, :, 0]
    assert left > 0.9 and right < 0.1
    assert middle == pytest.approx(0.5)


def test_pixels_stay_between_black_and_white(batch):
    predicted = np.full_like(targets(batch), 100.0)
    predicted[..., ::2] = -100
    for statistics in STATISTICS:
        pixels = undo(batch, predicted, statistics)
        assert (pixels.min(), pixels.max()) == (0, 1)


def test_visible_patches_are_copied_and_hidden_ones_filled_in(batch):
    rebuilt = patchify(rebuild(batch, np.float32(1)), TUBELET, PATCH)
    for clip in range(2):
        visible = batch["visible_ids"][clip]
        np.testing.assert_array_equal(rebuilt[clip, visible], patches_of(batch)[clip, visible])
        assert (rebuilt[clip, batch["hidden_ids"][clip]] == 255).all()


def test_errors_are_those_of_the_loss(batch):
    predicted = np.random.default_rng(1).normal(size=targets(batch).shape).astype(np.float32)
    expected = [losses.pixel_loss(values, targets(batch)) for values in (predicted, 0 * predicted)]
    errors = squared_errors(predicted, patches_of(batch), batch["hidden_ids"])
    np.testing.assert_allclose(errors, expected, rtol=1e-5)


def test_unknown_statistics(batch):
    with pytest.raises(ValueError, match="visible, target"):
        undo(batch, targets(batch), "own")
