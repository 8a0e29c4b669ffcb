"""Is the population of the coverage what it is said to be, and is the share counted?"""

import numpy as np
import pytest

from surgvista_jax.metrics import coverage
from surgvista_jax.metrics.coverage import TITLES, operations, scores


def sample(num: int = 400, **more) -> coverage.Operations:
    return operations(num, np.random.default_rng(0), **more)


def test_most_videos_score_high_and_some_far_lower() -> None:
    values = scores(sample())["accuracy"].per_video
    assert 0.8 < values.mean() < 0.95 and np.median(values) > values.mean()
    worst = scores(sample(failing=0.5))["accuracy"].per_video
    assert worst.min() < 0.5 and worst.std() > 2 * values.std()


def test_models_share_difficulty_and_ours_is_better() -> None:
    both = [scores(sample(), model)["accuracy"].per_video for model in (0, 1)]
    assert both[0].mean() > both[1].mean() and np.corrcoef(both)[0, 1] > 0.8


def test_videos_of_a_patient_resemble_one_another() -> None:
    found = sample(several=True)
    values = scores(found)["accuracy"].per_video
    assert set(np.bincount(found.patient)) == {1, 2, 3}
    next_to = np.flatnonzero(np.diff(found.patient) == 0)
    assert np.corrcoef(values[next_to], values[next_to + 1])[0, 1] > 0.3


def test_every_frame_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sample(20)
    frames = found.confusions.sum((2, 3))
    np.testing.assert_array_equal(frames[0], frames[1])
    assert (found.confusions >= 0).all() and (found.confusions[0, :, 0, 2:] == 0).all()


def test_the_share_that_holds_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "MANY", 300)
    count = []
    found = coverage.coverage(
        6,
        several=False,
        failing=0.0,
        repetitions=10,
        seed=0,
        samples=100,
        every=lambda: count.append(1),
    )
    assert found.keys() == TITLES.keys() and len(count) == 10
    assert all(0.6 <= share <= 1 for share in found.values())
    # Were the population another, hardly any interval would hold its scores.
    monkeypatch.setattr(coverage, "_ODDS", (2.4, 1.9))
    real = coverage.operations

    def other(patients: int, *rest, **more):
        return real(patients, *rest, **more | {"failing": 1.0 if patients == 300 else 0.0})

    monkeypatch.setattr(coverage, "operations", other)
    found = coverage.coverage(30, several=False, failing=0.0, repetitions=5, seed=0, samples=100)
    assert found["accuracy"] == found["accuracy_pooled"] == 0
