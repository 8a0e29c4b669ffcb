"""Are maps of tokens those of the frames that they cover, and always the same?"""

import numpy as np

from surgvista_jax.figures.token_maps import attention_map, components, over_frames
from surgvista_jax.figures.token_sheet import draw

GRID = (2, 3, 3)
TOKENS = np.random.default_rng(0).normal(size=(18, 6)) @ np.diag([9, 5, 3, 0.1, 0.1, 0.1])


def test_components_are_those_that_vary_most_in_their_order():
    found = components(TOKENS, GRID).reshape(18, 3)
    for k in range(3):
        assert abs(np.corrcoef(found[:, k], TOKENS[:, k])[0, 1]) > 0.8
    assert found.min() == 0 and found.max() == 1


def test_components_of_many_tokens_are_the_same_ones():
    found = components(TOKENS, GRID)
    many = components(np.tile(TOKENS, (10, 1)), (20, 3, 3))
    # Percentiles of more values lie a little elsewhere.
    np.testing.assert_allclose(many, np.tile(found, (10, 1, 1, 1)), atol=0.08)


def test_signs_are_those_of_the_tokens_and_not_of_the_decomposition():
    """Mirrored features have mirrored axes, whose largest weight is positive again."""
    order = np.random.default_rng(1).permutation(18)
    shuffled = components(TOKENS[order], GRID).reshape(18, 3)
    found = components(TOKENS, GRID).reshape(18, 3)
    np.testing.assert_allclose(shuffled, found[order], atol=1e-5)


def test_tokens_that_do_not_vary_are_grey():
    assert (components(np.ones((18, 6)), GRID) == 0.5).all()
    assert (components(np.outer(np.arange(18), [1.0, 0]), GRID)[..., 1:] == 0.5).all()


def test_maps_lie_over_their_tubelets():
    shares = np.zeros((2, *GRID))
    shares[:, 1, 0, 2] = 1.0
    relative = attention_map(shares)
    assert relative.max() == 18 and relative[1, 0, 2] == 18
    clip = np.zeros((4, 30, 30, 3), np.uint8)
    found = over_frames(relative, clip)
    assert found.shape == (4, 30, 30) and (found[2:, :10, 20:] == 18).all()
    assert found[:2].max() == 0 and found[2:, 10:].max() == 0
    page = draw(clip, TOKENS, shares, shares[0], GRID, ["caption"])
    assert page.dtype == np.uint8 and len(np.unique(page.reshape(-1, 3), axis=0)) > 20
    assert len(draw(clip, TOKENS, None, None, GRID, ["caption"])) < len(page)
