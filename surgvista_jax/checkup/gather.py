"""Asks the machine, each library in a process of its own, for what `judge` judges."""

import json
import os
import platform
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from surgvista_jax.checkup.facts import Decoders, Device, Facts, Gpu, Jax, Machine, Space
from surgvista_jax.checkup.installed import read_installed
from surgvista_jax.cores import available_cores, quota_of_cores
from surgvista_jax.errors import end_in_words
from surgvista_jax.host_memory import free_memory, memory_limit

SHARED = Path("/dev/shm")
_PATIENCE = 120  # seconds; a TPU that another process holds lets JAX wait for ever
_TOLD = ("JAX_", "XLA_", "LIBTPU_", "TPU_", "CUDA_", "NVIDIA_", "OPENCV_")
_TOLD_TOO = ("LD_LIBRARY_PATH", "LD_PRELOAD", "OMP_NUM_THREADS", "TF_GPU_ALLOCATOR")
_QUERY = "name,memory.total,memory.used,driver_version,compute_cap"
_LINES = 12


def gather() -> Facts:
    """All facts. Never fails: what cannot be found out is not known, or is told as a trouble."""
    gpus, trouble = _gpus()  # before JAX takes some of their memory
    jax = _jax()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (None if number == resource.RLIM_INFINITY else number for number in files)
    return Facts(
        installed=read_installed(),
        jax=jax,
        decoders=_decoders(),
        machine=Machine(
            system=_system(),
            gpus=gpus,
            gpus_trouble=trouble,
            tpu=Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists(),
            memory=_memory(),
            free=free_memory(),
            limit=memory_limit(),
            shared=_space(SHARED),
            files=(soft, hard),
            cores=available_cores(),
            quota=quota_of_cores(),
            cache=_bytes_below(jax.cache),
        ),
        environment={
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(_TOLD) or name in _TOLD_TOO
        },
    )


def ask(
    module: str, seconds: float = _PATIENCE, **variables: str
) -> tuple[dict[str, Any] | None, str, tuple[str, ...]]:
    """Runs `python -m MODULE`, which prints a line of JSON.

    Returns:
        What it printed, or None; why there is nothing; the last lines of what it said meanwhile.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=os.environ | variables,
        )
    except subprocess.TimeoutExpired:
        return None, f"did not answer within {seconds:g} s", ()
    except OSError as error:
        return None, f"cannot be started: {error.strerror}", ()
    said = tuple(line for line in done.stderr.splitlines() if line.strip())[-_LINES:]
    if done.returncode:
        last = f": {said[-1]}" if said else ""
        return None, f"{end_in_words(done.returncode)}{last}", said
    try:
        return json.loads(done.stdout.splitlines()[-1]), "", said
    except (IndexError, ValueError):
        return None, "printed no answer", said


def _jax() -> Jax:
    # Looking at devices should take none of their memory.
    found, trouble, said = ask(
        "surgvista_jax.checkup.in_jax", XLA_PYTHON_CLIENT_PREALLOCATE="false"
    )
    if found is None:
        return Jax(trouble=trouble, said=said)
    devices = tuple(Device(**device) for device in found.pop("devices"))
    return Jax(said=said, devices=devices, **found)


def _decoders() -> Decoders:
    found, trouble, _ = ask("surgvista_jax.checkup.in_decoders")
    if found is None:
        return Decoders(videos_trouble=trouble, pictures_trouble=trouble)
    return Decoders(**found)


def _gpus() -> tuple[tuple[Gpu, ...], str]:
    """What nvidia-smi shows, and what it complains of; nothing where there is none."""
    command = ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
        )
    except FileNotFoundError:
        return (), ""
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), f"{type(error).__name__}: {error}"
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        return (), said[0] if said else end_in_words(done.returncode)
    return read_gpus(done.stdout), ""


def read_gpus(text: str) -> tuple[Gpu, ...]:
    """The GPUs of nvidia-smi's table (`--format=csv,noheader,nounits`), memory in MiB there."""
    gpus = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 5:
            total, used = (int(c) * 2**20 if c.isdecimal() else 0 for c in cells[1:3])
            gpus.append(Gpu(cells[0], total, used, cells[3], cells[4]))
    return tuple(gpus)


def _system() -> str:
    libc = " ".join(platform.libc_ver()).strip()
    said = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"{said}, {libc}" if libc else said


def _memory() -> float | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"MemTotal:\s+(\d+) kB", text)
    return float(found[1]) * 1024 if found else None


def _space(folder: Path) -> Space | None:
    try:
        stat = os.statvfs(folder)
    except OSError:
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    return Space(str(folder), stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize)


def _bytes_below(folder: str | None) -> int | None:
    if folder is None or "://" in folder:
        return None
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # another process removed it
                continue
    return total
