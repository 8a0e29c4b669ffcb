"""Are tests exact, and adjusted for how many there are?"""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from surgvista_jax.errors import UserError
from surgvista_jax.metrics import scores
from surgvista_jax.metrics.intervals import draw, interval
from surgvista_jax.metrics.statistics import holm, over_seeds, smallest_p, wilcoxon


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("num", [3, 7, 40])
def test_wilcoxon_without_ties_is_scipy(alternative: str, num: int) -> None:
    differences = np.random.default_rng(num).normal(0.3, 1, num)
    found = wilcoxon(differences, alternative)
    expected = stats.wilcoxon(differences, alternative=alternative, method="exact")
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.method == "exact"


differences_with_ties = st.lists(st.integers(-3, 3), min_size=1, max_size=9).map(
    lambda values: np.array(values) / 8
)


@settings(max_examples=60)
@given(
    differences_with_ties,
    st.sampled_from(["greater", "less", "two-sided"]),
    st.sampled_from(["wilcox", "pratt"]),
)
def test_wilcoxon_with_ties_and_zeros_is_a_count_of_sign_patterns(
    differences, alternative, zero_rule
) -> None:
    found = wilcoxon(differences, alternative, zero_rule)
    nonzero = differences != 0
    if zero_rule == "wilcox":
        ranks = stats.rankdata(np.abs(differences[nonzero]))
    else:
        ranks = stats.rankdata(np.abs(differences))[nonzero]
    statistic = ranks[differences[nonzero] > 0].sum()
    sums = np.array([ranks @ np.array(signs) for signs in product([0, 1], repeat=len(ranks))])
    upper, lower = (sums >= statistic).mean(), (sums <= statistic).mean()
    expected = {"greater": upper, "less": lower, "two-sided": min(1, 2 * min(upper, lower))}
    assert found.p_value == pytest.approx(expected[alternative] if len(ranks) else 1.0)
    assert found.num_zeros == (~nonzero).sum() and found.zero_rule == zero_rule


def test_seven_videos_reach_one_in_128() -> None:
    found = wilcoxon(np.arange(1, 8) / 100, "greater")
    assert found.p_value == found.smallest_p == 1 / 128
    assert smallest_p(7, "two-sided") == 1 / 64 and smallest_p(0, "greater") == 1
    assert wilcoxon(np.zeros(5)).p_value == 1.0 and wilcoxon(np.zeros(5)).num_zeros == 5
    assert wilcoxon(np.array([0.1, np.nan, 0.2])).num_pairs == 2


def test_many_pairs_use_the_normal_approximation() -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, 300)
    found = wilcoxon(differences, "greater")
    expected = stats.wilcoxon(differences, alternative="greater", method="asymptotic")
    assert found.method == "normal approximation"
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)


def test_wilcoxon_holds_its_level() -> None:
    generator = np.random.default_rng(1)
    rejected = [wilcoxon(generator.normal(0, 1, 12)).p_value <= 0.05 for _ in range(800)]
    assert np.mean(rejected) < 0.075  # 0.05 + 3 standard errors of 800 draws


def test_a_family_of_true_nulls_rejects_as_rarely_as_it_says() -> None:
    """Four baselines as good as ours on the same 12 videos; values of videos in steps, so tied."""
    generator, families, single, outside = np.random.default_rng(2), 0, 0, 0
    repeats, baselines, videos = 300, 4, 12
    for repeat in range(repeats):
        difficulty = generator.normal(0.8, 0.1, videos)
        models = difficulty + generator.normal(0, 0.05, (baselines + 1, videos))
        ours, *theirs = np.round(models, 2)
        p_values = np.array([wilcoxon(ours - other).p_value for other in theirs])
        families += (holm(p_values) <= 0.05).any()
        single += (p_values <= 0.05).sum()
        gained = scores.mean_of_videos("gain", "Gain", ours - theirs[0])
        found = interval(gained.of_weights, draw(videos, 200, repeat), (-1, 1))
        outside += not found.low <= 0 <= found.high
    three = 3 * np.sqrt(0.05 * 0.95 / repeats)  # standard errors
    assert families / repeats < 0.05 + three
    assert 0.025 < single / (repeats * baselines) < 0.05 + three  # exact, so hardly below its level
    assert outside / repeats < 0.05 + three


def test_a_difference_that_is_there_is_found() -> None:
    generator = np.random.default_rng(3)
    found = [
        holm([wilcoxon(generator.normal(0.05, 0.05, 12)).p_value] * 4)[0] <= 0.05
        for _ in range(100)
    ]
    assert np.mean(found) > 0.5


@settings(max_examples=40)
@given(differences_with_ties, st.sampled_from(["wilcox", "pratt"]))
def test_the_effect_size_is_the_balance_of_the_ranks(differences, zero_rule) -> None:
    found = wilcoxon(differences, "greater", zero_rule)
    turned = wilcoxon(-differences, "greater", zero_rule)
    assert -1 <= found.rank_biserial == -turned.rank_biserial <= 1
    if (differences != 0).any():
        balance = found.statistic - turned.statistic
        expected = balance / (found.statistic + turned.statistic)
        assert found.rank_biserial == pytest.approx(expected)
    else:
        assert found.rank_biserial == 0


def test_all_videos_better_is_the_largest_effect() -> None:
    assert wilcoxon(np.array([0.1, 0.3, 0.2])).rank_biserial == 1
    assert wilcoxon(np.array([-0.1, 0.3, 0.2])).rank_biserial == pytest.approx(4 / 6)


def test_holm_steps_down() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    assert holm([0.02]).tolist() == [0.02]


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p_values) -> None:
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values) - 1e-15).all() and (adjusted <= 1).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_seeds() -> None:
    mean, spread, number = over_seeds([0.8, 0.9, 1.0])
    assert (mean, number) == (pytest.approx(0.9), 3) and spread == pytest.approx(0.1)
    assert np.isnan(over_seeds([0.8])[1])


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(UserError, match="zero_rule='zsplit'"):
        wilcoxon(np.ones(3), "greater", "zsplit")
