"""How many cores of this machine a process may use."""

import os


def available_cores() -> int:
    """Cores that this process may use; all of the machine where the system cannot say (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
