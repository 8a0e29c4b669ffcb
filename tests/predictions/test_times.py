"""Does a moment count until the next one, and after a gap as long as others do?"""

import numpy as np

from surgvista_jax.predictions.times import ends, moment


def test_a_moment_counts_until_the_next_unless_there_is_a_gap():
    assert ends(np.array([0, 2, 4, 9, 11])).tolist() == [2, 4, 6, 11, 13]
    assert ends(np.array([0.0, 0.5, 1.25])).tolist() == [0.5, 1.25, 1.875]
    assert ends(np.array([3])).tolist() == [4] and ends(np.array([3.0]), 0.5).tolist() == [3.5]


def test_times_are_written_with_their_second():
    assert [moment(second) for second in (0, 59.6, 3599.4, 36000)] == [
        "0:00:00",
        "0:01:00",
        "0:59:59",
        "10:00:00",
    ]
