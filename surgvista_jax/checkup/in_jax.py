"""Which devices does JAX start, and where does it keep what it compiles? Printed as JSON.

A program of its own: what crashes or hangs here is told by the process that started it.
"""

import ctypes
import json
import os
import re
from pathlib import Path

import jax

from surgvista_jax.training.compilation_cache import place_of_compiled


def main() -> None:
    """Prints one line: the fields of `facts.Jax`."""
    devices = jax.local_devices()
    try:
        cache, trouble = place_of_compiled(), ""
    except RuntimeError as error:
        cache, trouble = None, str(error)
    found = {
        "backend": jax.default_backend(),
        "devices": [{"kind": n.device_kind, "memory": _memory(n)} for n in devices],
        "cudnn": _cudnn(),
        "cache": cache,
        "cache_trouble": trouble or _not_writable(cache),
    }
    print(json.dumps(found))


def _memory(device: jax.Device) -> int | None:
    """The bytes that JAX may take of a device."""
    try:
        return (device.memory_stats() or {}).get("bytes_limit")
    except (RuntimeError, NotImplementedError):
        return None


def _not_writable(place: str | None) -> str:
    """Why nothing can be kept there; "" where it can, or where only JAX knows."""
    if place is None or "://" in place:
        return ""
    folder = Path(place).absolute()
    nearest = next(n for n in (folder, *folder.parents) if n.exists())
    return "" if os.access(nearest, os.W_OK | os.X_OK) else f"{nearest} cannot be written"


def _cudnn() -> str | None:
    """The version of the library that is loaded, as it says itself."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"/.*/libcudnn\.so\.\d+.*$", maps, re.M)
    if found is None:
        return None
    number = ctypes.CDLL(found[0]).cudnnGetVersion()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


if __name__ == "__main__":
    main()
