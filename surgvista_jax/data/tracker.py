"""Python's tracker of semaphores, which must outlive the signals that a program outlives.

It is a process of the program's own group, and keeps SIGINT and SIGTERM from itself but not the
SIGHUP of a closed terminal.  A tracker that takes its place knows none of the semaphores that there
are: it prints a traceback for each, and leaves them in memory when the program is killed.
"""

import signal
from multiprocessing import resource_tracker


def start_tracker() -> None:
    """Starts the tracker, which SIGHUP does not end; to be called before processes are made.

    Any thread may call this; its signal mask stays as it is. A tracker that runs is left alone.
    """
    # The tracker inherits the mask, and unblocks SIGINT and SIGTERM alone, which it ignores.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        # Where it starts, what is blocked here is unblocked too.
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
