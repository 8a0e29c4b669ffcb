"""Do phase scores follow their definitions, whatever phases a video lacks?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from surgvista_jax.errors import UserError
from surgvista_jax.metrics import phase
from surgvista_jax.metrics.averaging import nanmean, summarise

labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60).map(
    lambda pairs: tuple(np.array(pairs).T)
)


@settings(max_examples=80)
@given(labels)
def test_union_policy_is_scikit_learn_macro(pair) -> None:
    truth, prediction = pair
    table = phase.per_class(phase.confusion_matrix(truth, prediction, 5), "union")
    for name, function in (
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
        ("jaccard", sk.jaccard_score),
    ):
        expected = function(truth, prediction, average="macro", zero_division=0)
        assert nanmean(table[name]) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=80)
@given(st.lists(labels, min_size=1, max_size=5), st.sampled_from(phase.ABSENT_POLICIES))
def test_scores_stay_in_range_and_ignore_the_order_of_videos(pairs, absent) -> None:
    confusions = phase.confusion_matrices(pairs, 5)
    table = phase.per_class(confusions, absent)
    back = phase.per_class(confusions[::-1], absent)
    for name in phase.MEASURES:
        values = table[name]
        assert (np.isnan(values) | (values >= 0) & (values <= 1)).all()
        ours, theirs = summarise(values), summarise(back[name])
        assert ours.videos_then_classes == pytest.approx(theirs.videos_then_classes, nan_ok=True)
        assert ours.std_over_videos == pytest.approx(theirs.std_over_videos, nan_ok=True)
    assert phase.accuracies(confusions.sum(0)) == pytest.approx(
        np.mean(np.concatenate([truth == found for truth, found in pairs]))
    )


@settings(max_examples=60)
@given(labels, st.integers(1, 59))
def test_a_video_cut_in_two_keeps_its_pooled_scores(pair, cut) -> None:
    truth, prediction = pair
    whole = phase.confusion_matrices([pair], 5)
    halves = [(truth[:cut], prediction[:cut]), (truth[cut:], prediction[cut:])]
    parts = phase.confusion_matrices([half for half in halves if len(half[0])], 5)
    np.testing.assert_array_equal(whole.sum(0), parts.sum(0))
    assert phase.accuracies(whole.sum(0)) == phase.accuracies(parts.sum(0))


@settings(max_examples=30)
@given(labels, st.sampled_from(phase.ABSENT_POLICIES))
def test_perfect_prediction_is_one(pair, absent) -> None:
    truth, _ = pair
    confusion = phase.confusion_matrix(truth, truth, 5)
    assert phase.accuracies(confusion) == 1.0
    for values in phase.per_class(confusion, absent).values():
        assert (values[np.unique(truth)] == 1).all()
        others = np.delete(values, np.unique(truth))
        assert (np.isnan(others) | (others == 1) & (absent == "absent_is_one")).all()


def test_policies_differ_exactly_where_a_phase_is_absent() -> None:
    # Phase 2 is absent and predicted once; phase 3 is absent and never predicted; phase 1 is
    # present and never predicted.
    truth = np.array([0, 0, 0, 0, 1])
    prediction = np.array([0, 0, 0, 2, 0])
    confusion = phase.confusion_matrix(truth, prediction, 4)
    nan = np.nan
    expected = {
        "union": {"precision": [0.75, 0, 0, nan], "recall": [0.75, 0, 0, nan]},
        "gt_only": {"precision": [0.75, nan, nan, nan], "recall": [0.75, 0, nan, nan]},
        "drop_undefined": {"precision": [0.75, nan, 0, nan], "recall": [0.75, 0, nan, nan]},
        "absent_is_one": {
            "precision": [0.75, nan, 0, 1],
            "recall": [0.75, 0, nan, nan],
            "f1": [0.75, 0, 0, 1],
            "jaccard": [0.6, 0, 0, 1],
        },
    }
    for absent, table in expected.items():
        found = phase.per_class(confusion, absent)
        for name, values in table.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"{absent} {name}")
    assert phase.per_class(confusion, "gt_only")["f1"][1] == 0
    with pytest.raises(UserError, match="choose union, gt_only, drop_undefined, absent_is_one"):
        phase.per_class(confusion, "ignore")


def test_order_of_averaging_matters_once_a_phase_is_missing() -> None:
    pairs = [
        (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])),
        (np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])),
    ]
    recall = phase.per_class(phase.confusion_matrices(pairs, 2), "gt_only")["recall"]
    summary = summarise(recall)
    assert summary.videos_then_classes == pytest.approx((0.75 + 0.5) / 2)
    assert summary.classes_then_videos == pytest.approx((0.75 + 0.5) / 2)
    jaccard = phase.per_class(phase.confusion_matrices(pairs, 2), "gt_only")["jaccard"]
    summary = summarise(jaccard)  # [[2/3, 1/2], [1/2, nan]]
    assert summary.videos_then_classes == pytest.approx(((2 / 3 + 1 / 2) / 2 + 1 / 2) / 2)
    assert summary.classes_then_videos == pytest.approx(((2 / 3 + 1 / 2) / 2 + 1 / 2) / 2)
    pairs.append((np.array([1, 1]), np.array([1, 1])))
    summary = summarise(
        phase.per_class(phase.confusion_matrices(pairs, 2), "gt_only")["jaccard"]
    )  # a third video [nan, 1] pulls the two orders apart
    assert summary.videos_then_classes == pytest.approx((7 / 12 + 3 / 4) / 2)
    assert summary.classes_then_videos == pytest.approx((7 / 12 + 1 / 2 + 1) / 3)
    assert summary.std_over_classes == pytest.approx(np.std([7 / 12, 3 / 4], ddof=1))
    assert summary.std_over_videos == pytest.approx(np.std([7 / 12, 1 / 2, 1], ddof=1))


def test_one_frame_phase_and_one_frame_video() -> None:
    pairs = [(np.array([0, 1, 0]), np.array([0, 1, 0])), (np.array([2]), np.array([2]))]
    table = phase.per_class(phase.confusion_matrices(pairs, 3), "gt_only")
    np.testing.assert_array_equal(table["f1"], [[1, 1, np.nan], [np.nan, np.nan, 1]])


def test_mean_of_f1_is_not_f1_of_means() -> None:
    pairs = [(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]))]
    table = phase.per_class(phase.confusion_matrices(pairs, 2)[0], "gt_only")
    mean = nanmean(table["f1"])
    precision, recall = nanmean(table["precision"]), nanmean(table["recall"])
    of_means = phase.harmonic_mean(precision, recall)
    assert of_means == 2 * precision * recall / (precision + recall)
    assert of_means - mean > 0.1


def test_the_harmonic_mean_of_nothing_found_is_zero() -> None:
    found = phase.harmonic_mean(np.array([0, 1, np.nan]), np.array([0, 0, 1]))
    np.testing.assert_array_equal(found, [0, 0, np.nan])


def test_faults_name_the_video() -> None:
    with pytest.raises(UserError, match="video 1: 2 predicted frames but 3"):
        phase.confusion_matrices([(np.zeros(1, int),) * 2, (np.zeros(3, int), np.zeros(2, int))], 2)
    with pytest.raises(UserError, match="no videos"):
        phase.confusion_matrices([], 2)
