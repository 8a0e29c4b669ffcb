"""How many cores of this machine a process may use."""

import os
from pathlib import Path


def available_cores() -> int:
    """Cores that this process may use; all of the machine where the system cannot say (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota_of_cores(root: Path = Path("/")) -> float | None:
    """The share of cores that control groups allow, such as 1.5; None where nothing tells one.

    A container sees its own group at the top (Linux, `cgroup-v2.rst`, cpu.max; version 1 has it in
    two files).

    Args:
        root: where `sys` lies.
    """
    top = root / "sys/fs/cgroup"
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            words = " ".join((top / name).read_text(encoding="ascii") for name in names).split()
        except (OSError, ValueError):
            continue
        if len(words) == 2 and all(word.isdecimal() and int(word) for word in words):
            return int(words[0]) / int(words[1])
    return None
