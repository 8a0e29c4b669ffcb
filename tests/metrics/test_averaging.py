"""Do averages leave out what is undefined, without a warning?"""

import numpy as np

from surgvista_jax.metrics.averaging import divide, nanmean, nanstd, over_videos, summarise

VALUES = np.array([[0.2, np.nan], [0.4, np.nan], [np.nan, np.nan]])


def test_nothing_left_is_nan_not_a_warning() -> None:
    np.testing.assert_array_equal(nanmean(VALUES, 1), [0.2, 0.4, np.nan])
    np.testing.assert_allclose(nanmean(VALUES, 0), [0.3, np.nan])
    assert np.isnan(divide(0, 0)) and np.isnan(divide(1, 0)) and divide(1, 2) == 0.5


def test_spread_is_over_n_minus_one() -> None:
    np.testing.assert_allclose(nanstd(VALUES, 0), [np.std([0.2, 0.4], ddof=1), np.nan])
    assert np.isnan(nanstd(np.array([0.5])))  # one value has no spread
    assert nanstd(np.array([0.5, 0.7, np.nan])) == np.std([0.5, 0.7], ddof=1)


def test_weights_of_ones_give_the_plain_mean() -> None:
    np.testing.assert_allclose(over_videos(VALUES, np.ones((1, 3)))[0], nanmean(VALUES, 0))
    summary = summarise(VALUES)
    assert np.isclose(summary.videos_then_classes, 0.3)
    np.testing.assert_array_equal(summary.per_video, [0.2, 0.4, np.nan])
