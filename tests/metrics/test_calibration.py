"""Do calibration sums give the error that their definition asks for?"""

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.calibration import (
    brier_sums,
    calibration_error,
    check_probabilities,
    reliability_bins,
)


def draw(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the probabilities themselves: perfectly calibrated."""
    generator = np.random.default_rng(seed)
    score = generator.dirichlet(np.ones(4) * 0.5, size=num)
    return (generator.random((num, 1)) > score.cumsum(1)).sum(1).clip(max=3), score


def test_calibrated_scores_have_a_small_error_and_overconfident_ones_a_large_one() -> None:
    label, score = draw(20_000, 0)
    honest = calibration_error(reliability_bins(label, score))
    sharper = score**3 / (score**3).sum(1, keepdims=True)
    boasting = calibration_error(reliability_bins(label, sharper))
    assert honest < 0.02 < 0.05 < boasting
    assert brier_sums(label, score).mean() < brier_sums(label, sharper).mean()


def test_definition_bin_by_bin() -> None:
    label, score = draw(500, 1)
    confidence, right = score.max(1), score.argmax(1) == label
    expected = 0.0
    for low in np.arange(15) / 15:
        rows = (confidence > low) & (confidence <= low + 1 / 15)
        if rows.any():
            expected += abs(right[rows].mean() - confidence[rows].mean()) * rows.mean()
    assert calibration_error(reliability_bins(label, score)) == pytest.approx(expected, abs=1e-6)
    truth = np.eye(4)[label]
    np.testing.assert_allclose(brier_sums(label, score), ((score - truth) ** 2).sum(1))


def test_sums_of_videos_add_up() -> None:
    label, score = draw(100, 2)
    whole = reliability_bins(label, score)
    parts = reliability_bins(label[:30], score[:30]) + reliability_bins(label[30:], score[30:])
    np.testing.assert_allclose(whole, parts)


def test_extremes() -> None:
    label, score = np.array([0, 1]), np.eye(4)[[0, 1]]
    assert calibration_error(reliability_bins(label, score)) == 0
    assert brier_sums(label, score).tolist() == [0, 0]
    assert brier_sums(np.array([1]), score[:1]).tolist() == [2]
    assert reliability_bins(label, score)[-1, 0] == 2  # confidence 1 lies in the last bin
    edge = reliability_bins(np.array([0]), np.array([[0.6, 0.4]]))
    assert edge[8, 0] == 1  # 0.6 is the upper edge of the ninth of fifteen bins


def test_logits_are_refused() -> None:
    with pytest.raises(UserError, match="apply softmax first"):
        check_probabilities(np.array([[2.0, -1.0]]))
