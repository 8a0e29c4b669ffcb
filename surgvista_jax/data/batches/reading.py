"""Those who read batches: threads that may get stuck, and workers that end with their parent."""

import os
import threading
from collections.abc import Callable
from multiprocessing import connection, parent_process

import cv2
import numpy as np

from surgvista_jax.data.batches.shared_memory import Batch, ReadRows, remove_shared


class Reading:
    """Calls a function in several threads, and knows whether one still reads."""

    def __init__(self, read: ReadRows):
        self._read = read
        self._calls = 0
        self._counting = threading.Lock()

    def __call__(self, step: int, rows: slice, empty: Callable[..., np.ndarray]) -> Batch:
        self._count(1)
        try:
            return self._read(step, rows, empty)
        finally:
            self._count(-1)

    def is_busy(self) -> bool:
        return self._calls > 0

    def _count(self, change: int) -> None:
        with self._counting:
            self._calls += change


def start_worker(prefix: str, number: int, count: int) -> None:
    """Runs in a worker before its first batch."""
    cv2.setNumThreads(0)

    parent = parent_process()
    assert parent is not None

    def follow_parent() -> None:
        connection.wait([parent.sentinel])
        remove_shared(prefix, for_good=True)
        os._exit(1)

    # A killed parent cannot tell its workers: without this they would wait for ever.
    threading.Thread(target=follow_parent, daemon=True).start()
