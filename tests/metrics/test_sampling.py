"""Are wrong lengths, class ids, scores and rates refused in one clear line?"""

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.sampling import (
    check_fps,
    check_labels,
    check_scores,
    rows_at_rate,
    sampling_rate,
)


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        ([0, 1, 2], [0, 1], "2 predicted frames but 3 frames of ground truth"),
        ([], [], "no frames"),
        ([0, 7], [0, 1], "ground truth holds class 7, but the 7 classes are 0..6"),
        ([0, 1], [0, -1], "prediction holds class -1"),
        ([0.0, np.nan], [0, 1], "ground truth holds NaN"),
        ([0.5, 1.0], [0, 1], "not whole class ids"),
        ([[0, 1]], [[0, 1]], "one label a frame"),
    ],
)
def test_faulty_labels_are_refused(truth, prediction, message) -> None:
    with pytest.raises(UserError, match=message) as caught:
        check_labels(np.array(truth), np.array(prediction), 7, "video41")
    assert str(caught.value).startswith("video41: ") and "\n" not in str(caught.value)


def test_nan_scores_are_counted_and_located() -> None:
    scores = np.zeros((4, 3))
    scores[2, 1] = np.nan
    scores[3, 0] = np.inf
    with pytest.raises(
        UserError, match="2 scores are NaN or infinite, the first at row 2, class 1"
    ):
        check_scores(scores)


def test_rate_follows_from_time_stamps() -> None:
    assert sampling_rate(np.arange(10) / 25) == pytest.approx(25)
    assert np.isnan(sampling_rate(np.zeros(1)))
    check_fps(np.arange(10.0), 1)
    check_fps(np.zeros(1), 1)  # one frame has no rate to contradict
    with pytest.raises(UserError, match="does not come after"):
        sampling_rate(np.array([0.0, 1.0, 1.0]))
    with pytest.raises(UserError, match="it must be a positive number"):
        check_fps(np.arange(3.0), 0)


def test_rows_at_rate_keep_whole_seconds() -> None:
    assert rows_at_rate(np.arange(100), 25, 1).tolist() == [0, 25, 50, 75]
    assert rows_at_rate(np.arange(0, 100, 25), 25, 1).tolist() == [0, 1, 2, 3]
    assert rows_at_rate(np.arange(5), 1, 1).tolist() == [0, 1, 2, 3, 4]
    assert rows_at_rate(np.arange(10, 80), 25, 1).tolist() == [15, 40, 65]
    # 29.97 frames a second: one row for each second that has begun, without drift
    rows = rows_at_rate(np.arange(3000), 29.97, 1)
    assert len(rows) == 101 and np.abs(rows / 29.97 - np.arange(101)).max() < 1 / 29.97


def test_too_sparse_frames_are_refused_with_a_guess() -> None:
    with pytest.raises(UserError, match="25 s apart at fps 1, too sparse.*is fps 25 meant"):
        rows_at_rate(np.arange(0, 1000, 25), 1, 1)
