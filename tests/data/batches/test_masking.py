"""Do masks hide exactly what they should, whatever the clip?"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.masking import MASKS, MaskConfig, hidden_count, token_grid
from surgvista_jax.errors import UserError

GRIDS = st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8))


def test_the_recipe_hides_1328_of_1568_tokens():
    grid = token_grid(ClipConfig(), tubelet=2, patch=16)
    assert grid == (8, 14, 14)
    visible_ids, hidden_ids = MASKS["tube"](np.random.default_rng(0), grid, 0.85)
    assert (len(visible_ids), len(hidden_ids)) == (240, 1328)
    assert hidden_count("tube", grid, 0.85) == 1328
    assert hidden_count("random", grid, 0.85) == int(0.85 * 1568) == 1332


@given(st.sampled_from(sorted(MASKS)), GRIDS, st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_masks_part_the_tokens_in_exact_numbers(kind, grid, ratio, seed):
    t, h, w = grid
    group = h * w if kind == "tube" else t * h * w
    if not 0 < int(ratio * group) < group:
        with pytest.raises(UserError):
            hidden_count(kind, grid, ratio)
        return
    visible_ids, hidden_ids = MASKS[kind](np.random.default_rng(seed), grid, ratio)
    assert visible_ids.dtype == hidden_ids.dtype == np.int32
    assert (np.diff(visible_ids) > 0).all() and (np.diff(hidden_ids) > 0).all()
    assert sorted([*visible_ids, *hidden_ids]) == list(range(t * h * w))
    assert len(hidden_ids) == hidden_count(kind, grid, ratio)
    assert len(hidden_ids) == int(ratio * group) * (t * h * w // group)


def hidden_grid(kind, seed, grid=(8, 14, 14)):
    hidden = np.zeros(math.prod(grid), bool)
    hidden[MASKS[kind](np.random.default_rng(seed), grid, 0.85)[1]] = True
    return hidden.reshape(grid)


@given(st.integers(0, 2**32 - 1))
def test_a_tube_hides_the_same_places_in_every_slice_and_a_random_mask_does_not(seed):
    tube, random = hidden_grid("tube", seed), hidden_grid("random", seed)
    assert (tube == tube[0]).all()
    assert not (random == random[0]).all()


@pytest.mark.parametrize("kind", MASKS)
def test_every_token_is_hidden_equally_often(kind):
    hidden = np.mean([hidden_grid(kind, seed, (2, 4, 4)) for seed in range(2000)], axis=0)
    expected = hidden_count(kind, (2, 4, 4), 0.85) / 32
    # Five standard errors of a share of 2,000 draws.
    np.testing.assert_allclose(
        hidden, expected, atol=5 * math.sqrt(expected * (1 - expected) / 2e3)
    )


@pytest.mark.parametrize("kind", MASKS)
def test_the_seed_decides_the_mask(kind):
    assert (hidden_grid(kind, 1) == hidden_grid(kind, 1)).all()
    assert (hidden_grid(kind, 1) != hidden_grid(kind, 2)).any()


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("ratio", [1.0, 0.999999999, 1.5, 0.0, 0.0001, -0.5, math.nan, math.inf])
def test_a_ratio_that_hides_all_or_nothing_says_what_would_be_right(kind, ratio):
    grid = (2, 3, 3)
    if ratio == 0.999999999:  # hides all but one, as any ratio below 1 does
        assert hidden_count(kind, grid, ratio) == (16 if kind == "tube" else 17)
        return
    with pytest.raises(
        UserError, match=rf"^config\.mask\.ratio={ratio}: .* take 0\.\d+ to 0\.\d+$"
    ) as error:
        hidden_count(kind, grid, ratio)
    for bound in str(error.value).rsplit("take ", 1)[1].split(" to "):
        hidden_count(kind, grid, float(bound))


def test_a_slice_of_one_token_cannot_be_part_hidden():
    with pytest.raises(UserError, match="config.clip.size and config.model.patch leave 1 token"):
        hidden_count("tube", (4, 1, 1), 0.5)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (
            ClipConfig(num_frames=15),
            "config.clip.num_frames=15: should .* by config.model.tubelet=2: take 14 or 16",
        ),
        (
            ClipConfig(num_frames=1),
            "config.clip.num_frames=1: should .* by config.model.tubelet=2: take 2",
        ),
        (
            ClipConfig(size=230),
            "config.clip.size=230: should .* by config.model.patch=16: take 224 or 240",
        ),
    ],
)
def test_clips_that_tokens_do_not_divide_are_refused(clip, message):
    with pytest.raises(UserError, match=message + "$"):
        token_grid(clip, tubelet=2, patch=16)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"kind": "block"}, r"^kind='block': should be one of tube, random"),
        ({"masks_per_clip": 0}, r"^masks_per_clip=0: should be a whole number of at least 1"),
    ],
)
def test_a_wrong_mask_setting_is_named(setting, message):
    with pytest.raises(ValueError, match=message):
        MaskConfig(**setting)
