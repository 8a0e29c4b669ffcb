"""Is each thing that hurts told with its remedy, and nothing of a machine that is well?"""

import dataclasses

import pytest

from surgvista_jax.checkup.facts import (
    Decoders,
    Device,
    Facts,
    Gpu,
    Installed,
    Jax,
    Machine,
    Package,
    Space,
)
from surgvista_jax.checkup.gather import read_gpus
from surgvista_jax.checkup.judge import judge
from surgvista_jax.checkup.said import as_dict, as_text

GB = 10**9
JAX = Package("jax", ">=0.10.2,<0.13", "0.11.0")
CV2 = Package("opencv-python-headless", ">=4.11", "4.12")
H100 = Gpu("NVIDIA H100", 80 * GB, 0, "580.1", "9.0")
T4 = Gpu("Tesla T4", 16 * GB, 0, "580.1", "7.5")
PLUGIN = {"jax-cuda13-plugin": "0.11.0", "jaxlib": "0.11.0"}
ON_CPU = Jax(backend="cpu", devices=(Device("cpu"),), cache="/home/a/.cache")
ON_GPU = Jax(backend="gpu", devices=(Device("H100", 60 * GB),), cudnn="9.12.0", cache="/c")
WELL = Facts(
    installed=Installed(needed=(JAX, CV2), opencv={CV2.name: "4.12"}, builds={"jaxlib": "0.11.0"}),
    jax=ON_CPU,
    decoders=Decoders(codecs={"h264": "h264", "av1": "libdav1d"}),
    machine=Machine(
        memory=64 * GB,
        free=60 * GB,
        shared=Space("/dev/shm", 32 * GB, 32 * GB),
        files=(1024, 65536),
        cores=16,
        cache=0,
    ),
)


def but(**parts):
    """The machine that is well, but for some fields of its parts."""
    changed = {
        name: value
        if name == "environment"
        else dataclasses.replace(getattr(WELL, name), **value)
        if isinstance(value, dict)
        else value
        for name, value in parts.items()
    }
    return dataclasses.replace(WELL, **changed)


def with_gpu(gpu=H100, jax=ON_CPU, builds=PLUGIN, **environment):
    return but(
        machine={"gpus": (gpu,)}, jax=jax, installed={"builds": builds}, environment=environment
    )


def needing(*packages, **installed):
    return but(installed={"needed": packages, **installed})


# What is wrong -> (the facts, the level, what is said, what helps).
CASES = {
    "missing": (
        needing(CV2, Package("jax", ">=0.10.2,<0.13", None, False)),
        *("error", "jax is not installed", "pip install 'jax>=0.10.2,<0.13'"),
    ),
    "too old": (
        needing(CV2, Package("jax", ">=0.10.2,<0.13", "0.9", False)),
        *("warning", "jax 0.9 is installed, and >=0.10.2,<0.13 is needed", "pip install 'jax"),
    ),
    "never installed": (
        but(installed={"known": False}),
        *("warning", "which versions it needs is not known", "pip install -e ."),
    ),
    "another Python": (
        but(installed={"python": "3.10.2", "pythons": ">=3.11", "python_fits": False}),
        *("warning", "Python 3.10.2", "make the environment"),
    ),
    "two of OpenCV": (
        but(installed={"opencv": {"opencv-python": "4.11", "opencv-python-headless": "5.0"}}),
        *("warning", "2 builds of OpenCV", "pip uninstall -y opencv-python opencv-python-headless"),
    ),
    "JAX does not start": (
        but(jax=Jax(trouble="crashed (SIGSEGV)")),
        *("error", "crashed (SIGSEGV)", "JAX_PLATFORMS=cpu"),
    ),
    "a GPU without a build": (
        with_gpu(builds={"jaxlib": "0.11.0"}),
        *(
            "warning",
            "though there is 1 x NVIDIA H100: its build",
            'pip install -e ".[gpu]" in the clone',
        ),
    ),
    "a GPU that is not wanted": (
        with_gpu(JAX_PLATFORMS="cpu"),
        *("warning", "JAX_PLATFORMS=cpu says so", "unset JAX_PLATFORMS"),
    ),
    "a GPU that is hidden": (
        with_gpu(CUDA_VISIBLE_DEVICES=""),
        *("warning", "CUDA_VISIBLE_DEVICES names none", "unset CUDA_VISIBLE_DEVICES"),
    ),
    "a GPU that does not start": (
        with_gpu(jax=dataclasses.replace(ON_CPU, said=("CUDA driver version is insufficient",))),
        *(
            "warning",
            "jax-cuda13-plugin 0.11.0 does not start (CUDA driver",
            'pip install -U -e ".[gpu]" in the clone',
        ),
    ),
    "a build of another version": (
        with_gpu(jax=ON_GPU, builds={**PLUGIN, "jaxlib": "0.11.1"}),
        *("warning", "jax-cuda13-plugin 0.11.0", "pip install 'jax-cuda13-plugin==0.11.1'"),
    ),
    "a driver that is broken": (
        but(machine={"gpus_trouble": "couldn't communicate with the NVIDIA driver"}),
        *("warning", "nvidia-smi fails: couldn't", "--gpus all"),
    ),
    "a GPU of others": (
        with_gpu(dataclasses.replace(H100, used=40 * GB), jax=ON_GPU),
        *("warning", "40 of its 80 GB", "CUDA_VISIBLE_DEVICES"),
    ),
    "a GPU without bfloat16": (
        with_gpu(T4, jax=ON_GPU),
        *("warning", "Tesla T4 of compute capability 7.5", "compute.dtype=float32"),
    ),
    "a TPU without a build": (
        but(machine={"tpu": True}),
        *("warning", "what looks like a TPU: its build", 'pip install -e ".[tpu]" in the clone'),
    ),
    "no PyAV": (
        but(decoders={"videos_trouble": "ImportError: libxcb.so.1"}),
        *("error", "libxcb.so.1", "'av>=18.1,<19'"),
    ),
    "a codec less": (
        but(decoders={"codecs": {"h264": "h264", "hevc": None, "av1": None}}),
        *("warning", "decodes no hevc, av1", "brings FFmpeg along"),
    ),
    "no OpenCV": (
        but(decoders={"pictures_trouble": "ImportError: libGL.so.1"}),
        *("error", "libGL.so.1", "opencv-python-headless"),
    ),
    "no JPEG": (but(decoders={"jpeg": False}), "error", "a JPEG", "opencv-python-headless"),
    "little memory": (
        but(machine={"free": 2 * GB, "limit": 3 * GB}),
        *("warning", "2 GB of memory are free (its control group allows 3)", "docker: --memory"),
    ),
    "little shared memory": (
        but(machine={"shared": Space("/dev/shm", 64 * 2**20, 64 * 2**20)}),
        *("warning", "room for 27 clips", "--shm-size"),
    ),
    "no shared memory": (but(machine={"shared": None}), "warning", "/dev/shm", "loader.workers=0"),
    "few files": (
        but(machine={"files": (256, 1024)}),
        *("warning", "1024 files at most", "ulimit -Hn 4096"),
    ),
    "one core": (but(machine={"cores": 1}), "warning", "one core", "--cpus-per-task"),
    "a quota": (
        but(machine={"quota": 2.5}),
        *("warning", "16 cores are seen, and control groups allow the time of 2.5", "workers=2"),
    ),
    "no cache": (
        but(jax=dataclasses.replace(ON_CPU, cache_trouble="/home/a cannot be written")),
        *("warning", "/home/a cannot be written", "JAX_COMPILATION_CACHE_DIR=FOLDER"),
    ),
    "a cache that is not wanted": (
        but(jax=dataclasses.replace(ON_CPU, cache=None)),
        *("warning", "not kept", "unset JAX_ENABLE_COMPILATION_CACHE"),
    ),
    "flags": (
        but(environment={"XLA_FLAGS": "--xla_x=1"}),
        *("warning", "XLA_FLAGS='--xla_x=1'", "unset XLA_FLAGS"),
    ),
    "a switch": (
        but(environment={"JAX_DISABLE_JIT": "True"}),
        *("warning", "JAX_DISABLE_JIT=True", "unset JAX_DISABLE_JIT"),
    ),
    "an allocator": (
        but(environment={"XLA_PYTHON_CLIENT_ALLOCATOR": "platform"}),
        *("warning", "slow", "unset XLA_PYTHON_CLIENT_ALLOCATOR"),
    ),
    "other libraries": (
        with_gpu(jax=ON_GPU, LD_LIBRARY_PATH="/usr/local/cuda/lib64"),
        *("warning", "/usr/local/cuda/lib64", "unset LD_LIBRARY_PATH"),
    ),
}


@pytest.mark.parametrize(("facts", "level", "said", "helps"), CASES.values(), ids=CASES)
def test_what_hurts_is_told_once_with_its_remedy(facts, level, said, helps):
    (finding,) = judge(facts)
    assert finding.level == level
    assert said in finding.text and helps in finding.remedy
    assert f"{finding.text}\n    -> {finding.remedy}" in as_text(facts, [finding])


WELL_TOO = {
    "a processor": WELL,
    "a GPU": with_gpu(jax=ON_GPU),
    "switches that are off": but(environment={"JAX_DISABLE_JIT": "0", "XLA_FLAGS": " "}),
    "another build of OpenCV": needing(
        Package(CV2.name, ">=4.11", None, False), opencv={"opencv-python": "4.12"}
    ),
    "any number of files": but(machine={"files": (None, None)}),
    "a cache on the net": but(jax=dataclasses.replace(ON_CPU, cache="gs://bucket/cache")),
}


@pytest.mark.parametrize("facts", WELL_TOO.values(), ids=WELL_TOO)
def test_nothing_is_told_of_what_is_well(facts):
    assert judge(facts) == []
    assert "Nothing here will hurt." in as_text(facts, [])


def test_errors_come_first_and_no_fact_at_all_is_told_too():
    bad = but(installed={"known": False}, decoders={"jpeg": False}, jax=Jax(trouble="no"))
    assert [finding.level for finding in judge(bad)] == ["error", "error", "warning"]
    nothing = Facts()
    assert as_text(nothing, judge(nothing)) and as_dict(nothing, judge(nothing))["findings"]


def test_the_table_of_nvidia_smi():
    text = "NVIDIA H100 80GB HBM3, 81559, 1024, 580.82.07, 9.0\nTegra, [N/A], [N/A], 540, 8.7\n\n"
    first, second = read_gpus(text)
    assert first == Gpu("NVIDIA H100 80GB HBM3", 81559 * 2**20, 2**30, "580.82.07", "9.0")
    assert (second.memory, second.used) == (0, 0)
