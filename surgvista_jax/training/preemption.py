"""Preemption: whether to stop (SIGTERM, SIGHUP, Ctrl-C), and at which step all processes do."""

import contextlib
import os
import signal
import sys
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils

from surgvista_jax import stuck

# Seconds that the second Ctrl-C gives to closing what is open.
_GRACE = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(Exception):
    """Told to stop in the midst of what can be done again, such as an evaluation."""


class Preemption:
    """Asked once a step; a context manager, of which those inside another do nothing.

    One process: SIGTERM, SIGHUP and the first Ctrl-C are noted instead of killing; a second Ctrl-C
    interrupts as usual, and where that does not end the process within seconds, it is ended. With
    `jax.distributed` started, its own service takes SIGTERM on any process, and all processes agree
    on a step not yet reached; SIGHUP and the first Ctrl-C are passed on to it. Outside the main
    thread Python lets no one handle signals, and all kill as usual.
    """

    def __init__(self) -> None:
        self._told = False
        self._interrupts = 0
        self._previous: dict[int, Any] = {}  # signal -> its handler
        self._shared = jax.distributed.is_initialized()
        self._watch: _Watch | None = None

    @property
    def told(self) -> bool:
        """Whether this process was told to stop; not known of one among several."""
        return asked()

    def reached(self, step: int) -> bool:
        """Whether to save and stop now. Every process asks at every step, in order."""
        if self._shared:
            return multihost_utils.reached_preemption_sync_point(step)
        return asked()

    def __enter__(self) -> "Preemption":
        in_main = threading.current_thread() is threading.main_thread()
        if not _entered and in_main:
            for number in _SIGNALS:
                if number == signal.SIGTERM and self._shared:
                    continue  # JAX's service listens to it, outside Python
                # nohup has SIGHUP ignored, and means it.
                if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._previous[number] = signal.signal(number, self._handle)
            self._watch = _Watch()
        _entered.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _entered.remove(self)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
        if self._watch is not None:
            self._watch.end()

    def _handle(self, number: int, frame: Any) -> None:
        if not self._shared:
            self._told = True
        elif not self._interrupts:
            signal.raise_signal(signal.SIGTERM)
        if number != signal.SIGINT:
            return
        self._interrupts += 1
        if self._interrupts > 1:
            stuck.hurry()
            before = self._previous[number]
            (before if callable(before) else signal.default_int_handler)(number, frame)


_entered: list[Preemption] = []


def asked() -> bool:
    """Whether a run of this one process was told to stop; one of several cannot stop by itself."""
    return any(preemption._told for preemption in _entered)


class _Watch:
    """Sees signals as they come, also while the main thread is held in compiled code.

    Python tells its handlers only when the main thread is back, and of two signals of a kind once.
    """

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._look, daemon=True, name="signals")
        self._thread.start()

    def end(self) -> None:
        """Ends the thread."""
        signal.set_wakeup_fd(self._before)
        self._ended.set()
        os.write(self._write, b"\0")
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _look(self) -> None:
        interrupts = 0
        while not self._ended.is_set():
            for number in os.read(self._read, 1):
                if number != signal.SIGINT:
                    continue
                interrupts += 1
                if interrupts == 1:
                    _say("stopping: saves first; a second Ctrl-C stops at once")
                if interrupts == 2 and not self._ended.wait(_GRACE):
                    _say("interrupted")
                    stuck.end_at_once(128 + signal.SIGINT)


def _say(words: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
        print(f"surgvista: {words}", file=sys.stderr, flush=True)
