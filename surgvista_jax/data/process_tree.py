"""The memory and processor time of this process and those below it (Linux)."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def held_mib(pid: int | None = None) -> float | None:
    """Resident MiB, pages that processes share counted once; None where it is unknown."""
    pid = pid or os.getpid()
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    held = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return held + sum(held_mib(child) or 0.0 for child in _children(pid))


def used_seconds(pid: int | None = None) -> float:
    """Processor time since the start, of all cores; 0 where it is unknown."""
    pid = pid or os.getpid()
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    user, system = after_name[11:13]
    return (int(user) + int(system)) / _TICKS + sum(map(used_seconds, _children(pid)))


@contextmanager
def watched_memory() -> Iterator[list[float | None]]:
    """Looks at the memory twice a second; the one entry of the list is the most held, in MiB."""
    peak: list[float | None] = [None]
    ended = threading.Event()

    def watch() -> None:
        while True:
            held = held_mib()
            if held is not None:
                peak[0] = max(peak[0] or 0.0, held)
            if ended.wait(0.5):
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return []
