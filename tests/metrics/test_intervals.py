"""Do intervals hold the truth as often as they say, and is the unit the video?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from surgvista_jax.metrics import intervals
from surgvista_jax.metrics.intervals import Interval, draw, interval
from surgvista_jax.metrics.scores import gain, mean_of_videos, ratio

ANY = (-np.inf, np.inf)
SHARE = (0.0, 1.0)


def of_mean(values: np.ndarray, samples: int = 400, bounds=SHARE, **more) -> Interval:
    """The interval of the mean of videos."""
    draws = draw(len(values), samples, 0, **more)
    return interval(mean_of_videos("a", "A", values).of_weights, draws, bounds)


@pytest.mark.parametrize(("num", "least"), [(5, 0.88), (10, 0.91), (40, 0.92)])
def test_intervals_hold_the_mean_of_skewed_scores(num: int, least: float) -> None:
    """400 samples; the standard error is 1.2 %. Percentiles hold 80, 88 and 92 %."""
    generator = np.random.default_rng(num)
    values = 1 / (1 + np.exp(-generator.normal(2.2, 0.8, (400, num))))
    found = [of_mean(row) for row in values]
    assert least <= np.mean([item.low <= 0.878 <= item.high for item in found]) <= 0.98


def test_many_videos_of_normal_scores_have_the_interval_of_student() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.05, 200)
    found, error = of_mean(values, 4000), values.std(ddof=1) / np.sqrt(200)
    expected = stats.t.interval(0.95, 199, values.mean(), error)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.1 * error)


def test_skewness_lengthens_the_side_where_videos_are_missing() -> None:
    values = np.array([0.95, 0.97, 0.9, 0.96, 0.55, 0.93, 0.98, 0.94])
    found = of_mean(values, 2000)
    assert found.value - found.low > 1.5 * (found.high - found.value)


def test_pooled_scores_count_long_videos_more() -> None:
    frames = np.array([100.0, 3000, 200, 250, 180, 220])
    right = frames * [0.9, 0.5, 0.9, 0.85, 0.95, 0.9]
    pooled = ratio("a", "A", right, frames)
    found = interval(pooled.of_weights, draw(6, 2000, 0), SHARE)
    assert found.value == pytest.approx(right.sum() / frames.sum())
    assert found.low < 0.5 and found.high > found.value + 0.03  # one video decides nearly all


@settings(max_examples=40)
@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=8).map(np.array),
    st.sampled_from([SHARE, ANY]),
)
def test_an_interval_is_finite_and_holds_the_mean(values: np.ndarray, bounds) -> None:
    found = of_mean(values, 200, bounds)
    assert np.isfinite([found.low, found.high]).all() and found.samples == 200
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert bounds[0] <= found.low and found.high <= bounds[1]


def test_a_model_differs_from_itself_by_nothing() -> None:
    one = mean_of_videos("a", "A", np.array([0.2, 0.9, 0.7]))
    weighted, bounds = gain(one, one)
    found = interval(weighted, draw(3, 50, 0), bounds)
    assert (found.value, found.low, found.high, bounds) == (0, 0, 0, (-1, 1))


def test_all_right_is_no_certainty() -> None:
    """The interval of Clopper and Pearson, for clips and videos that are all right or all wrong."""
    for num in (5, 40):
        exact = stats.binomtest(num, num).proportion_ci(0.95, "exact")
        found = of_mean(np.ones(num))
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
        found = of_mean(np.zeros(num))
        assert (found.low, found.high) == pytest.approx((1 - exact.high, 1 - exact.low))
    found = of_mean(np.full(4, 0.7))
    assert (found.low, found.high) == (found.value, found.value)


def test_one_wrong_clip_of_many_does_not_stretch_the_interval_to_nothing() -> None:
    values = np.ones(160)
    values[7] = 0
    found = of_mean(values, 1000)
    exact = stats.binomtest(159, 160).proportion_ci(0.95, "exact")
    assert exact.low - 0.06 < found.low < 0.99 and found.high <= 1


def test_videos_are_drawn_not_frames() -> None:
    # 10 videos of 1,000 equal frames: an interval over frames would be a hundred times narrower.
    values = np.repeat(np.linspace(0.5, 1, 10)[:, None], 1000, axis=1).mean(1)
    found = of_mean(values, 1000)
    assert found.high - found.low > 0.15


def test_patients_are_drawn_whole() -> None:
    draws = draw(6, 50, 0, cluster=np.array([0, 0, 1, 2, 2, 2]))
    weights = draws.weights(draws.counts)
    assert draws.counts.shape == (50, 3) and weights.shape == (50, 6)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(1) == 3).all()
    alone = draw(6, 50, 0)
    assert (alone.weights(alone.counts).sum(1) == 6).all()
    np.testing.assert_array_equal(draw(6, 5, 7).counts, draw(6, 5, 7).counts)
    # Videos of one patient that are alike tell no more than one of them.
    values = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    doubled, cluster = np.repeat(values, 2), np.repeat(np.arange(5), 2)
    clustered = of_mean(doubled, 400, cluster=cluster)
    single = of_mean(values, 400)
    assert (clustered.low, clustered.high) == pytest.approx((single.low, single.high))


def test_strata_are_drawn_apart_and_others_never() -> None:
    stratum = np.array([0, 0, 1, -1, 1, 1])
    draws = draw(6, 50, 0, stratum=stratum)
    weights = draws.weights(draws.counts)
    assert (weights[:, :2].sum(1) == 2).all() and (weights[:, [2, 4, 5]].sum(1) == 3).all()
    assert (weights[:, 3] == 0).all()
    shared = draw(4, 50, 0, cluster=np.array([0, 0, 0, 1]), stratum=np.array([0, 1, 1, 1]))
    assert shared.sizes.tolist() == [1, 2]  # a patient in two strata is drawn in each


def test_one_video_has_no_interval() -> None:
    for found in (
        of_mean(np.array([1.0]), 20),
        of_mean(np.array([0.9, 0.4]), 20, cluster=np.array([0, 0])),
        of_mean(np.array([0.9, np.nan, np.nan]), 20),  # a score that only one video has
    ):
        assert np.isnan([found.low, found.high]).all() and found.samples == 0
    assert np.isnan(of_mean(np.full(3, np.nan)).value)


def test_videos_without_a_value_and_draws_without_one_are_left_out() -> None:
    values = np.array([0.4, np.nan, 0.6, np.nan, 0.9])
    found = of_mean(values, 400)
    assert found.value == pytest.approx(1.9 / 3) and found.low < 0.6 < found.high
    assert 350 < found.samples < 400


def test_influences_within_draws_are_the_derivatives_of_the_score() -> None:
    part, whole = np.array([3.0, 8, 1, 6]), np.array([4.0, 9, 5, 6])
    of = ratio("a", "A", part, whole).of_weights
    draws = draw(4, 5, 0, stratum=np.array([0, 0, 1, 1]))
    values = of(draws.weights(draws.counts))
    found = intervals._influences(of, draws, draws.counts, values)
    assert found.shape == (5, 4)
    # Towards a unit, away from what was drawn in its stratum.
    of_unit = part - values[:, None] * whole
    drawn = np.stack([(draws.counts * of_unit)[:, [k, k + 1]].sum(1) for k in (0, 0, 2, 2)], axis=1)
    expected = (2 * of_unit - drawn) / (draws.counts @ whole)[:, None]
    np.testing.assert_allclose(found, expected, atol=0.02)
    mean = mean_of_videos("a", "A", part).of_weights
    alone = draw(4, 1, 0)
    found = intervals._influences(mean, alone, np.ones((1, 4)), np.array([part.mean()]))
    np.testing.assert_allclose(found[0], part - part.mean(), atol=1e-9)


def test_few_units_are_seen_in_each_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a mean both ways are one; for a score that bends, influences move with the draw."""
    values = np.array([0.6, 0.7, 0.95, 0.8, 0.9])
    odd = np.array([0.2, 0.9, 0.3, 0.4, 0.8])

    def bent(weights: np.ndarray) -> np.ndarray:
        mean, other = (weights @ v / weights.sum(1) for v in (values, odd))
        return mean**4 * (1 - other) ** 2

    straight, curved = of_mean(values, 1000), interval(bent, draw(5, 1000, 0), SHARE)
    monkeypatch.setattr(intervals, "FEW", 0)
    assert of_mean(values, 1000).low == pytest.approx(straight.low, abs=1e-6)
    assert abs(interval(bent, draw(5, 1000, 0), SHARE).high - curved.high) > 0.01
