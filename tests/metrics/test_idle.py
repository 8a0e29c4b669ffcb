"""Is idleness forgiving to its neighbours alone?"""

import numpy as np

from surgvista_jax.metrics.idle import forgive_idle


def forgiven(truth: str, prediction: str) -> str:
    """One digit a frame; 0 is idle."""
    found = forgive_idle(*(np.array(list(map(int, text))) for text in (truth, prediction)), 0)
    return "".join(map(str, found))


def test_the_steps_around_idle_frames_are_forgiven() -> None:
    assert forgiven("1100022", "1112322") == "1100322"
    assert forgiven("0011", "1211") == "0211"  # nothing is before the first
    assert forgiven("1100", "1112") == "1102"  # nor after the last
    assert forgiven("000", "010") == "010"  # nor around nothing but idleness


def test_mistakes_within_steps_stay_and_the_input_too() -> None:
    assert forgiven("1102", "2012") == "2002"
    prediction = np.array([1, 1])
    forgive_idle(np.array([1, 0]), prediction, 0)
    assert prediction.tolist() == [1, 1]
