"""When the moments of predictions are: until when each counts, and how a time is written."""

import numpy as np

_GAP = 1.5  # usual distances to the next moment, after which one no longer counts until then


def ends(times: np.ndarray, alone: float = 1.0) -> np.ndarray:
    """Until when each moment counts: the next one, or after a gap the usual distance on.

    Args:
        times: [n] numbers of frames or seconds, ascending.
        alone: how long one counts that is the only one.

    Returns:
        [n] in the same unit.
    """
    distance = np.diff(times)
    usual = float(np.median(distance)) if len(distance) else alone
    return times + np.append(np.where(distance <= _GAP * usual, distance, usual), usual)


def moment(seconds: float) -> str:
    """A moment of a video, always with its second: "1:05:09"."""
    minutes, left = divmod(int(seconds + 0.5), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{left:02d}"
