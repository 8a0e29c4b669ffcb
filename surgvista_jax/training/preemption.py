"""Preemption: whether to stop (SIGTERM, Ctrl-C), and at which step all processes do."""

import signal
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils


class Preemption:
    """Asked once a step; a context manager.

    One process: SIGTERM and the first Ctrl-C set a flag instead of killing; a second Ctrl-C
    interrupts as usual. With `jax.distributed` started, its own service takes SIGTERM on any
    process, and all processes agree on a step not yet reached. Outside the main thread Python lets
    no one handle signals, and both kill as usual.
    """

    def __init__(self) -> None:
        self.told = False
        self._previous: dict[int, Any] = {}  # signal -> its handler
        self._shared = jax.distributed.is_initialized()

    def reached(self, step: int) -> bool:
        """Whether to save and stop now. Every process asks at every step, in order."""
        if self._shared:
            return multihost_utils.reached_preemption_sync_point(step)
        return self.told

    def __enter__(self) -> "Preemption":
        if not self._shared and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _handle(self, number: int, frame: object) -> None:
        self.told = True
        if number == signal.SIGINT:
            signal.signal(number, self._previous[number])
