"""Threads and processes that do not end, as those that read from a server that is gone do not.

Python waits for them before a program ends, for ever; a command must not.
"""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import NoReturn

_checks: list[Callable[[], bool]] = []


def note(is_stuck: Callable[[], bool]) -> None:
    """Says that something was given up on; `is_stuck` tells at the end whether it still is."""
    _checks.append(is_stuck)


def hurry() -> None:
    """Says that the user will not wait: the program ends without what it has not closed."""
    note(lambda: True)


def leave(code: int) -> None:
    """Ends the process and its children at once if something is stuck; else returns."""
    if any(is_stuck() for is_stuck in _checks):
        end_at_once(code)


def end_at_once(code: int) -> NoReturn:
    """Ends the process and its children, whatever hangs; what is not on the disk is lost."""
    # Children that hang would outlive us: Python ends them at its own end alone.
    for child in multiprocessing.active_children():
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
