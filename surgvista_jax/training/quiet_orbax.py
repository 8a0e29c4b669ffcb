"""Orbax and TensorStore kept quiet: what they print beside the error that they raise.

Every failure of a background save reaches the caller of `Checkpoints` as an exception, as one of
reading, or a Ctrl-C in it, does. What else appears on stderr, up to a thousand lines for one full
disk, would bury the one line that counts.
"""

import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any


def silence() -> None:
    """Drops those messages, and no others, for the rest of the process."""
    # addFilter takes the same function once only.
    logging.getLogger("absl").addFilter(_not_an_orbax_error)
    logging.getLogger("absl").addFilter(_not_our_own_handler)
    logging.getLogger("absl").addFilter(_not_a_wait)
    logging.getLogger("asyncio").addFilter(_not_an_orbax_task)
    if not isinstance(sys.unraisablehook, _WithoutLateResults):
        sys.unraisablehook = _WithoutLateResults(sys.unraisablehook)
    # The first failure leaves other writes unstarted. No code of ours has coroutines.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


def _not_an_orbax_error(record: logging.LogRecord) -> bool:
    return not (record.levelno >= logging.ERROR and "orbax" in record.pathname)


def _not_our_own_handler(record: logging.LogRecord) -> bool:
    """That `orbax_manager` puts another writer of arrays in the place of Orbax's is meant."""
    return not str(record.msg).startswith("Type handler registry")


def _not_a_wait(record: logging.LogRecord) -> bool:
    """`Checkpoints` says itself what a run waits for, and which key makes it wait less."""
    return not str(record.msg).startswith("Waiting for previous save")


def _not_an_orbax_task(record: logging.LogRecord) -> bool:
    """The first task that fails raises; asyncio logs the others when they are collected."""
    text = record.getMessage()
    return "orbax" not in text and "tensorstore" not in text


class _WithoutLateResults:
    """A hook for errors that nobody can catch, without those of TensorStore's late results.

    It hands them to an event loop that the first failure, or a Ctrl-C, has closed.
    """

    def __init__(self, hook: Callable[[Any], object]) -> None:
        self._hook = hook

    def __call__(self, unraisable: Any) -> None:
        late = unraisable.exc_type is RuntimeError and "loop is closed" in str(unraisable.exc_value)
        if not late:
            self._hook(unraisable)
