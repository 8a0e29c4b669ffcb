"""Do edit score and segmental F1 judge the order of segments?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgvista_jax.metrics.segments import edit_score, runs, segment_counts, segmental_f1

sequences = st.lists(st.integers(0, 3), min_size=1, max_size=40).map(np.array)


def levenshtein(a: list, b: list) -> int:
    """By the recursion that defines it."""
    table = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i, j] = min(
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[i - 1, j - 1] + (a[i - 1] != b[j - 1]),
            )
    return table[len(a), len(b)]


@settings(max_examples=80)
@given(sequences, sequences)
def test_edit_score_is_levenshtein_over_segments(truth, prediction) -> None:
    a, b = list(runs(truth)[0]), list(runs(prediction)[0])
    expected = 1 - levenshtein(a, b) / max(len(a), len(b))
    assert edit_score(truth, prediction) == pytest.approx(expected)
    assert edit_score(truth, prediction) == pytest.approx(edit_score(prediction, truth))


@settings(max_examples=80)
@given(sequences, sequences, st.sampled_from([0.1, 0.25, 0.5]))
def test_counts_add_up(truth, prediction, overlap) -> None:
    hits, false_positives, false_negatives = segment_counts(truth, prediction, overlap)
    assert hits + false_positives == len(runs(prediction)[0])
    assert hits + false_negatives == len(runs(truth)[0])
    assert 0 <= segmental_f1(np.array([hits, false_positives, false_negatives])) <= 1


@settings(max_examples=30)
@given(sequences)
def test_perfect_prediction_is_one(truth) -> None:
    assert edit_score(truth, truth) == 1.0
    assert segmental_f1(np.array(segment_counts(truth, truth, 0.5))) == 1.0
    label, start, end = runs(truth)
    np.testing.assert_array_equal(np.repeat(label, end - start), truth)


def test_torn_prediction_is_punished_by_segments_not_by_frames() -> None:
    truth = np.zeros(100, int)
    torn = truth.copy()
    torn[10:90:10] = 1
    assert (truth == torn).mean() > 0.9
    assert edit_score(truth, torn) < 0.1
    # The one true segment is found once at most: the longest piece overlaps it by 10 %.
    assert segment_counts(truth, torn, 0.1)[0] == 1
    assert segment_counts(truth, torn, 0.25) == (0, 17, 1)


def test_f1_depends_on_the_overlap() -> None:
    truth = np.repeat([0, 1], [50, 50])
    shifted = np.repeat([0, 1], [80, 20])
    assert segment_counts(truth, shifted, 0.25) == (2, 0, 0)
    assert segment_counts(truth, shifted, 0.5) == (1, 1, 1)
    assert segment_counts(truth, shifted, 20 / 50) == (2, 0, 0)  # as much as asked for is enough
    assert segmental_f1(np.array([[2, 0, 0], [1, 1, 1]])).tolist() == [1.0, 0.5]
