"""Is average precision scikit-learn's, and exact under resampling too?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from surgvista_jax.metrics.average_precision import (
    average_precisions,
    resampled_average_precision,
)


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    return average_precisions(truth[:, None], score[:, None])[0]


# Few distinct scores, so that ties are common.
rankings = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=50).map(
    lambda rows: (np.array([y for y, _ in rows]), np.array([s for _, s in rows]) / 6)
)


@settings(max_examples=100)
@given(rankings)
def test_equals_scikit_learn(ranking) -> None:
    truth, score = ranking
    found = average_precision(truth, score)
    if truth.any():
        assert found == pytest.approx(average_precision_score(truth, score), abs=1e-12)
        assert 0 < found <= 1
    else:
        assert np.isnan(found)


@settings(max_examples=50)
@given(rankings, st.randoms(use_true_random=False))
def test_order_of_frames_and_monotone_scores_change_nothing(ranking, random) -> None:
    truth, score = ranking
    order = list(range(len(truth)))
    random.shuffle(order)
    found = average_precision(truth, score)
    assert average_precision(truth[order], score[order]) == pytest.approx(found, nan_ok=True)
    assert average_precision(truth, np.exp(3 * score)) == pytest.approx(found, nan_ok=True)


def test_perfect_ranking_is_one_and_columns_are_independent() -> None:
    truth = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    found = average_precisions(truth, truth * 0.5)
    np.testing.assert_array_equal(found, [1, 1, np.nan])
    np.testing.assert_array_equal(
        average_precisions(np.zeros((0, 2)), np.zeros((0, 2))), [np.nan] * 2
    )


@settings(max_examples=60)
@given(rankings, st.integers(1, 5), st.integers(0, 1000))
def test_resampling_equals_repeating_the_frames(ranking, num_videos, seed) -> None:
    truth, score = ranking
    generator = np.random.default_rng(seed)
    video = generator.integers(0, num_videos, len(truth))
    weights = generator.integers(0, 3, (4, num_videos)).astype(float)
    weights[0] = 1
    found = resampled_average_precision(truth, score, video, weights)
    assert found[0] == pytest.approx(average_precision(truth, score), abs=1e-12, nan_ok=True)
    for row, value in zip(weights, found, strict=True):
        times = row[video].astype(int)
        expected = average_precision(np.repeat(truth, times), np.repeat(score, times))
        assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_resampling_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    truth, score = generator.random(500) < 0.3, generator.random(500)
    video, weights = generator.integers(0, 5, 500), generator.integers(0, 4, (3, 5)).astype(float)
    whole = resampled_average_precision(truth, score, video, weights)
    for cells in (3, 21, 3 * int(truth.sum())):  # blocks of 1, of 7, and of all thresholds
        monkeypatch.setattr("surgvista_jax.metrics.average_precision._CELLS", cells)
        np.testing.assert_allclose(
            resampled_average_precision(truth, score, video, weights), whole, rtol=1e-12
        )
