"""When do live frames come that could be read faster, and did all of them come?"""

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

Frame = tuple[float, np.ndarray]  # its second, and [H, W, 3] uint8 RGB
_FEW, _SHARE = 2, 0.005


def in_real_time(
    frames: Iterable[Frame],
    wait: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.perf_counter,
) -> Iterator[Frame]:
    """Yields frames, none before its second has come; the first one is there at once.

    Args:
        frames: in their order.
        wait: waits for so many seconds.
        now: tells the second that it is.
    """
    began: float | None = None
    for second, frame in frames:
        if began is None:
            began = now() - second  # what opening a decoder takes puts no frame late
        elif (ahead := began + second - now()) > 0:
            wait(ahead)
        yield second, frame


def breaks_off(promised: float, missing: float) -> bool:
    """Whether more pictures are missing than where a header only estimates how many there are."""
    return missing > max(_FEW, _SHARE * promised)
