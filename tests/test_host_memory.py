"""Is what a control group has left the least that counts, in both versions and all around?"""

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.host_memory import free_memory, give_back, memory_limit

GB = 10**9


@pytest.fixture
def machine(tmp_path):
    def write(files):
        for name, text in {
            "proc/meminfo": f"MemAvailable: {64 * GB // 1024} kB\n",
            **files,
        }.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(text))
        return free_memory(tmp_path)

    return write


def second(folder, limit, used=0, files=0):
    return {
        f"sys/fs/cgroup/{folder}/memory.max": f"{limit}\n",
        f"sys/fs/cgroup/{folder}/memory.current": f"{used}\n",
        f"sys/fs/cgroup/{folder}/memory.stat": f"anon {used - files}\ninactive_file {files}\n",
    }


def test_without_a_group_the_machine_tells(machine, tmp_path):
    assert free_memory(tmp_path) is None
    assert machine({}) == pytest.approx(64 * GB, abs=1024)


def test_what_is_in_use_is_taken_off_but_for_files_that_may_go(machine):
    group = {"proc/self/cgroup": "0::/\n"}
    assert machine({**group, **second(".", 16 * GB, used=10 * GB, files=4 * GB)}) == 10 * GB
    assert machine({**group, **second(".", 16 * GB, used=17 * GB)}) == 0
    assert machine({**group, **second(".", "max", used=10 * GB)}) == pytest.approx(
        64 * GB, abs=1024
    )


def test_the_groups_around_count_too(machine):
    inner, outer = second("job/step", "max", used=GB), second("job", 8 * GB, used=3 * GB)
    assert machine({"proc/self/cgroup": "0::/job/step\n", **inner, **outer}) == 5 * GB


def test_the_least_limit_of_the_groups_around_is_told(machine, tmp_path):
    assert memory_limit(tmp_path) is None
    inner, outer = second("job/step", "max"), second("job", 8 * GB)
    machine({"proc/self/cgroup": "0::/job/step\n", **inner, **outer})
    assert memory_limit(tmp_path) == 8 * GB
    machine(second("job/step", 2 * GB))
    assert memory_limit(tmp_path) == 2 * GB


def test_version_1_is_read(machine):
    def first(limit):
        top = "sys/fs/cgroup/memory/docker/abc"
        return {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n",
            f"{top}/memory.limit_in_bytes": f"{limit}\n",
            f"{top}/memory.usage_in_bytes": f"{6 * GB}\n",
            f"{top}/memory.stat": f"cache 9\ntotal_inactive_file {GB}\ntotal_active_file {GB}\n",
        }

    assert machine(first(8 * GB)) == 4 * GB
    assert machine(first(2**63 - 4096)) == pytest.approx(64 * GB, abs=1024)


def resident() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc's alone")
def test_what_is_freed_below_what_is_held_is_given_back():
    taken = [np.ones(8 * 1024, np.uint64) for _ in range(1600)]  # 64 KiB each, 100 MiB
    held, before = taken[::100], resident()
    del taken
    give_back()
    assert before - resident() > 80 * 2**20
    assert all(part.all() for part in held)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="glibc's alone")
def test_many_threads_share_few_arenas(tmp_path):
    program = f"""
import ctypes, threading
from surgvista_jax.host_memory import share_arenas
share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(32)
def take():
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=take) for _ in range(32)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = ctypes.c_void_p(libc.fopen({str(tmp_path / "told")!r}.encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "told").read_text().count("<heap nr=") <= 4
