"""Whether the run has been told to stop (SIGTERM), and at which step all processes do."""

import signal
import threading

import jax
from jax.experimental import multihost_utils


class Preemption:
    """Asked once a step; a context manager.

    One process: SIGTERM sets a flag instead of killing. With `jax.distributed` started, its own
    service takes SIGTERM on any process, and all processes agree on a step not yet reached.
    Outside the main thread Python lets no one handle signals, and SIGTERM kills as ever.
    """

    def __init__(self):
        self.told = False
        self._previous = None
        self._shared = jax.distributed.is_initialized()

    def reached(self, step: int) -> bool:
        """Whether to save and stop now. Every process asks at every step, in order."""
        if self._shared:
            return multihost_utils.reached_preemption_sync_point(step)
        return self.told

    def __enter__(self):
        if not self._shared and threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._handle)
        return self

    def __exit__(self, kind, error, traceback):
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
            self._previous = None

    def _handle(self, number, frame):
        self.told = True
