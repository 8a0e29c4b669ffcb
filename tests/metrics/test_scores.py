"""Is a score under weights the same as the score of the videos so repeated?"""

import numpy as np
import pytest

from surgvista_jax.metrics import scores
from surgvista_jax.metrics.averaging import summarise

GENERATOR = np.random.default_rng(0)
VALUES = np.where(GENERATOR.random((6, 4)) < 0.3, np.nan, GENERATOR.random((6, 4)))
TIMES = np.array([2, 0, 1, 3, 1, 0])


def test_weights_repeat_videos_in_both_orders() -> None:
    repeated = summarise(np.repeat(VALUES, TIMES, axis=0))
    plain = summarise(VALUES)
    for name in ("videos_then_classes", "classes_then_videos"):
        score = getattr(scores, name)("key", "Title", VALUES)
        assert score.value() == pytest.approx(getattr(plain, name))
        assert score.value(TIMES) == pytest.approx(getattr(repeated, name))
    score = scores.videos_then_classes("key", "Title", VALUES)
    assert score.spreads() == pytest.approx(
        {"std_over_videos": plain.std_over_videos, "std_over_classes": plain.std_over_classes}
    )


def test_ratio_and_sums_pool_frames() -> None:
    right, frames = np.array([3.0, 1, 8]), np.array([4.0, 4, 8])
    pooled = scores.ratio("key", "Title", right, frames)
    assert pooled.value() == 12 / 16
    assert pooled.value(np.array([2, 0, 1])) == 14 / 16
    np.testing.assert_allclose(pooled.per_video, [0.75, 0.25, 1])
    sums = np.stack([right, frames], axis=1)
    same = scores.of_sums("key", "Title", sums, lambda s: s[..., 0] / s[..., 1])
    assert same.value(np.array([2, 0, 1])) == 14 / 16


def test_a_mean_of_videos_leaves_undefined_videos_out() -> None:
    score = scores.mean_of_videos("key", "Title", np.array([0.5, np.nan, 1.0]))
    assert score.value() == 0.75
    assert np.isnan(score.value(np.array([0, 1, 0])))


def test_pooled_average_precision_needs_weights_or_a_per_video_value() -> None:
    truth, score = GENERATOR.random((30, 2)) < 0.4, GENERATOR.random((30, 2))
    video = np.repeat([0, 1, 2], 10)
    found = scores.pooled_average_precision("key", "T", truth, score, video, absent="drop")
    with pytest.raises(ValueError, match="weights"):
        found.value()
    assert 0 < found.value(np.ones(3)) <= 1


def test_runs_are_averaged_under_the_same_weights() -> None:
    runs = [scores.mean_of_videos("key", "T", np.array(v)) for v in ([0.2, 0.4], [0.6, 1.0])]
    mean = scores.mean_over_runs(runs)
    assert mean.value() == pytest.approx(0.55)
    assert mean.value(np.array([0, 1])) == pytest.approx(0.7)
    np.testing.assert_allclose(mean.per_video, [0.4, 0.7])
    assert scores.mean_over_runs(runs[:1]) is runs[0]
