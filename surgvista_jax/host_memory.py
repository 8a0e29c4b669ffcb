"""How much memory may this process still take here, and what does it keep that it has freed?"""

import contextlib
import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

_ARENAS = 4
_M_ARENA_MAX = -8  # of glibc's <malloc.h>
_NO_LIMIT = 2**60  # what version 1 of control groups writes for none is a little below 2^63


def free_memory(root: Path = Path("/")) -> float | None:
    """Bytes that this machine and every control group around this process have left.

    Of a group's limit, what is in use is taken off, but for files that the kernel would give up
    (Linux, `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`).

    Args:
        root: where `proc` and `sys` lie.

    Returns:
        None where nothing tells it.
    """
    found = re.search(r"MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"))
    left = [float(found[1]) * 1024] if found else []
    for folder, names in _groups(root):
        limit, used = (_number(folder / name) for name in names[:2])
        if limit is None or limit >= _NO_LIMIT:
            continue
        reclaimable = sum(
            float(value)
            for name, value in re.findall(r"^(\w+) (\d+)$", _text(folder / "memory.stat"), re.M)
            if name in names[2:]
        )
        left.append(max(limit - max((used or 0.0) - reclaimable, 0.0), 0.0))
    return min(left) if left else None


def memory_limit(root: Path = Path("/")) -> float | None:
    """The least bytes that a control group around this process allows; None where none does.

    Args:
        root: where `proc` and `sys` lie.
    """
    limits = (_number(folder / names[0]) for folder, names in _groups(root))
    return min((n for n in limits if n is not None and n < _NO_LIMIT), default=None)


def share_arenas() -> None:
    """Has all threads of this process, which are many, take memory from few arenas.

    The C library of Linux (glibc) has up to eight for each core, and keeps in each what a thread
    that is gone has freed: each checkpoint, written by threads of its own, would leave some.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another system's library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Hands back to the system what was freed.

    The C library of Linux (glibc) keeps it for later, up to the most that was ever taken: compiling
    a model takes some hundred MiB that no step needs again.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another system's library
        ctypes.CDLL(None).malloc_trim(0)


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The folders of this process's groups and of those around them.

    With each the names of the files of its limit and its use, and of what in `memory.stat` the
    kernel would give up.
    """
    second = ("memory.max", "memory.current", "inactive_file", "active_file", "slab_reclaimable")
    caches = ("total_inactive_file", "total_active_file")
    first = ("memory.limit_in_bytes", "memory.usage_in_bytes", *caches)
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        inside = Path(path.strip("/"))
        for part in (inside, *inside.parents):  # the last is the top itself
            yield top / part, first if controllers else second


def _number(path: Path) -> float | None:
    text = _text(path).strip()
    return float(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
