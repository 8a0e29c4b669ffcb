"""Do single-label and criteria scores follow their definitions?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from surgvista_jax.errors import UserError
from surgvista_jax.metrics import classification as clf
from surgvista_jax.metrics.average_precision import mean_over_classes
from surgvista_jax.metrics.phase import accuracies, confusion_matrix


def random_scores(seed: int, rows: int = 60, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes, rows)
    score = generator.random((rows, classes)) + np.eye(classes)[label] * 0.3
    return label, score / score.sum(1, keepdims=True)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_macro_scores_are_scikit_learn(seed: int) -> None:
    label, score = random_scores(seed)
    prediction = score.argmax(1)
    found = clf.macro(confusion_matrix(label, prediction, 5))
    for name, function in (("precision", sk.precision_score), ("f1", sk.f1_score)):
        expected = function(label, prediction, average="macro", zero_division=0)
        assert found[name] == pytest.approx(expected)
    confusion = confusion_matrix(label, prediction, 5)
    assert clf.balanced_accuracy(confusion) == pytest.approx(
        sk.balanced_accuracy_score(label, prediction)
    )
    expected = sk.precision_score(label, prediction, average="micro", zero_division=0)
    assert accuracies(confusion) == pytest.approx(expected)  # so micro averages need no function
    expected = sk.average_precision_score(clf.one_hot(label, 5), score, average=None)
    np.testing.assert_allclose(clf.one_vs_rest_average_precisions(label, score), expected)
    assert clf.top_k_hits(label, score, 3).mean() == pytest.approx(
        sk.top_k_accuracy_score(label, score, k=3, labels=range(5))
    )


def test_absent_class_is_dropped_or_zero() -> None:
    label = np.array([0, 0, 1])
    score = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.9, 0.0]])
    values = clf.one_vs_rest_average_precisions(label, score)
    np.testing.assert_array_equal(values, [1, 1, np.nan])
    assert mean_over_classes(values, "drop") == 1
    assert mean_over_classes(values, "zero") == pytest.approx(2 / 3)
    with pytest.raises(UserError, match="choose drop, zero"):
        mean_over_classes(values, "keep")


def test_criteria_are_rounded_half_to_even() -> None:
    ratings = np.array([[0, 1 / 3, 2 / 3], [1, 0.5, 1 / 3]])
    assert clf.criteria_truth(ratings).tolist() == [[False, False, True], [True, False, False]]
    with pytest.raises(UserError, match="criteria ratings run from 0 to 2"):
        clf.criteria_truth(np.array([[0.0, 2.0]]))
    with pytest.raises(UserError, match="criteria ratings run from nan to nan"):
        clf.criteria_truth(np.array([[0.0, np.nan]]))


def test_criteria_rates_are_per_criterion() -> None:
    truth = np.array([[1, 0], [1, 0], [0, 0]])
    score = np.array([[0.9, 0.1], [0.4, 0.2], [0.6, 0.3]])
    counts = clf.criteria_counts(truth, score >= 0.5)
    assert counts.tolist() == [[1, 2, 2, 1, 3], [0, 0, 0, 3, 3]]
    found = clf.criteria_rates(counts)
    np.testing.assert_allclose(found["accuracy"], [1 / 3, 1])
    np.testing.assert_allclose(found["precision"], [1 / 2, 0])
    np.testing.assert_allclose(found["recall"], [1 / 2, 0])
    np.testing.assert_allclose(found["f1"], [1 / 2, 0])


def test_faults_are_one_line() -> None:
    with pytest.raises(UserError, match=r"2 rows of scores but labels of shape \(3,\)"):
        clf.check_single(np.zeros(3, int), np.zeros((2, 4)))
    with pytest.raises(UserError, match="labels run from 0 to 4, but the scores have 4 classes"):
        clf.check_single(np.array([0, 4]), np.zeros((2, 4)))
    with pytest.raises(UserError, match="NaN"):
        clf.check_single(np.zeros(1, int), np.full((1, 4), np.nan))
