"""Frames at another rate: which frame of a video is frame k there."""

import math

# Frame rates outside of this are errors in the header (0, not a number, a time base of 90,000).
LOWEST_RATE, HIGHEST_RATE = 0.1, 1000.0
# Headers round rates and times; an instant this near to a frame, in frames, is that frame's.
ROUNDING = 1e-3


def is_rate(fps: float) -> bool:
    """Whether a header's frame rate is plausible."""
    return math.isfinite(fps) and LOWEST_RATE <= fps <= HIGHEST_RATE


def kept_index(k: int, keep_every: float) -> int:
    """Index of the first frame at or after frame k of the wanted rate."""
    return math.ceil(k * keep_every - ROUNDING)
