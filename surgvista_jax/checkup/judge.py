"""What of a machine keeps our programs from running, or will hurt, and what helps? Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from surgvista_jax.checkup.facts import Facts, Package
from surgvista_jax.checkup.installed import OPENCV, OURS

_GB = 10**9
_LITTLE_MEMORY = 4 * _GB  # exporting a ViT-B took 3.1 GiB
_LITTLE_SHARED = 1 * _GB
_CLIP = 16 * 224 * 224 * 3  # bytes, of the published size
_FEW_FILES = 4096
_IN_USE = 0.05  # of a GPU; what shows a desktop takes less
_FLASH = (8, 0)  # the compute capability from which on cuDNN's flash attention computes


@dataclass(frozen=True)
class Finding:
    """Something that hurts.

    Attributes:
        level: "error" where nothing can run, "warning" where it hurts.
        text: what it is, and what follows from it.
        remedy: what helps.
    """

    level: Literal["error", "warning"]
    text: str
    remedy: str


def judge(facts: Facts) -> list[Finding]:
    """All that hurts, the errors first."""
    parts = (
        *(_packages, _opencv, _jax, _accelerators, _gpus, _decoders),
        *(_memory, _shared, _files, _cores, _cache, _environment),
    )
    found = [finding for part in parts for finding in part(facts)]
    return sorted(found, key=lambda finding: finding.level != "error")


def _error(text: str, remedy: str) -> Finding:
    return Finding("error", text, remedy)


def _warning(text: str, remedy: str) -> Finding:
    return Finding("warning", text, remedy)


def _packages(facts: Facts) -> Iterator[Finding]:
    installed = facts.installed
    if not installed.known:
        yield _warning(
            f"{OURS} is not installed as a package: which versions it needs is not known",
            "pip install -e . in its folder",
        )
    if not installed.python_fits:
        yield _warning(
            f"Python {installed.python} is none of those that this was tried with"
            f" ({installed.pythons})",
            "make the environment with one of these",
        )
    for package in installed.needed:
        if package.name in OPENCV and installed.opencv:
            continue  # any build of it does
        if package.version is None:
            yield _error(f"{package.name} is not installed", _pip(package))
        elif not package.fits:
            yield _warning(
                f"{package.name} {package.version} is installed, and {package.needed} is needed",
                _pip(package),
            )


def _pip(package: Package) -> str:
    return f"pip install '{package.name}{package.needed}'"


def _opencv(facts: Facts) -> Iterator[Finding]:
    builds = facts.installed.opencv
    if len(builds) > 1:
        said = ", ".join(f"{name} {version}" for name, version in builds.items())
        yield _warning(
            f"{len(builds)} builds of OpenCV write over each other's files of cv2: {said}",
            f"pip uninstall -y {' '.join(builds)}; pip install {OPENCV[0]}",
        )


def _jax(facts: Facts) -> Iterator[Finding]:
    if facts.jax.trouble:
        yield _error(
            f"JAX does not start its devices: {facts.jax.trouble}",
            "python -c 'import jax; print(jax.devices())' shows all of it; JAX_PLATFORMS=cpu leaves"
            " GPUs and TPUs alone",
        )


def _accelerators(facts: Facts) -> Iterator[Finding]:
    """A GPU or TPU that is there and is not computed on, and why."""
    machine, jax = facts.machine, facts.jax
    if machine.gpus_trouble:
        yield _warning(
            f"nvidia-smi fails: {machine.gpus_trouble}",
            "mend the driver, or give the container its GPUs (docker: --gpus all)",
        )
    if jax.trouble or jax.backend not in ("cpu", ""):
        return
    if machine.gpus:
        there = f"{len(machine.gpus)} x {machine.gpus[0].name}"
        extra, build = "gpu", _build(facts, "jax-cuda")
    elif machine.tpu:
        there, extra, build = "what looks like a TPU", "tpu", _build(facts, "libtpu")
    else:
        return
    text = f"JAX computes on the processor, though there is {there}: "
    chosen = facts.environment.get("JAX_PLATFORMS", "")
    if chosen:
        yield _warning(f"{text}JAX_PLATFORMS={chosen} says so", "unset JAX_PLATFORMS")
    elif facts.environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1") and extra == "gpu":
        yield _warning(f"{text}CUDA_VISIBLE_DEVICES names none", "unset CUDA_VISIBLE_DEVICES")
    elif not build:
        yield _warning(
            f"{text}its build for it is missing", f'pip install -e ".[{extra}]" in the clone'
        )
    else:
        why = f" ({jax.said[-1]})" if jax.said else ""
        yield _warning(
            f"{text}{build} does not start{why}",
            f'pip install -U -e ".[{extra}]" in the clone, and a driver that is new enough for it',
        )


def _build(facts: Facts, start: str) -> str:
    builds = facts.installed.builds.items()
    return next((f"{name} {version}" for name, version in builds if name.startswith(start)), "")


def _gpus(facts: Facts) -> Iterator[Finding]:
    for number, gpu in enumerate(facts.machine.gpus):
        if gpu.used > _IN_USE * gpu.memory:
            yield _warning(
                f"GPU {number}: other programs have {gpu.used / _GB:.3g} of its"
                f" {gpu.memory / _GB:.3g} GB, and JAX takes 3/4 of all at its start",
                "nvidia-smi names them; CUDA_VISIBLE_DEVICES=N takes another GPU",
            )
        digits = gpu.capability.split(".")
        if all(n.isdecimal() for n in digits) and tuple(map(int, digits)) < _FLASH:
            yield _warning(
                f"GPU {number}, a {gpu.name} of compute capability {gpu.capability}, has no"
                " bfloat16 and none of cuDNN's flash attention, which begin with 8.0",
                "--config.compute.dtype=float32, and batches that are smaller by half",
            )
    jaxlib = facts.installed.builds.get("jaxlib")
    for name, version in facts.installed.builds.items():
        if jaxlib is not None and name.endswith("-plugin") and version != jaxlib:
            yield _warning(
                f"{name} {version} is not of the same version as jaxlib {jaxlib}",
                f"pip install '{name}=={jaxlib}'",
            )


def _decoders(facts: Facts) -> Iterator[Finding]:
    decoders = facts.decoders
    if decoders.videos_trouble:
        yield _error(
            f"PyAV cannot be used, which reads videos: {decoders.videos_trouble}",
            "pip install --force-reinstall --only-binary=:all: 'av>=18.1,<19'",
        )
    lacking = [kind for kind, name in decoders.codecs.items() if name is None]
    if lacking:
        yield _warning(
            f"PyAV decodes no {', '.join(lacking)}: such videos cannot be read",
            "pip install --force-reinstall --only-binary=:all: 'av>=18.1,<19' brings FFmpeg along",
        )
    if decoders.pictures_trouble or not decoders.jpeg:
        why = decoders.pictures_trouble or "a JPEG that it wrote comes back otherwise"
        yield _error(
            f"OpenCV cannot be used, which reads frames: {why}",
            f"pip install --force-reinstall {OPENCV[0]}",
        )


def _memory(facts: Facts) -> Iterator[Finding]:
    free, limit = facts.machine.free, facts.machine.limit
    if free is not None and free < _LITTLE_MEMORY:
        allowed = "" if limit is None else f" (its control group allows {limit / _GB:.3g})"
        yield _warning(
            f"{free / _GB:.3g} GB of memory are free{allowed}: larger models and many loader"
            " workers will not fit",
            "fewer loader.workers, smaller batches, or more for the container (docker: --memory)",
        )


def _shared(facts: Facts) -> Iterator[Finding]:
    shared = facts.machine.shared
    if shared is None:
        yield _warning(
            "/dev/shm cannot be written: loader workers hand over their batches on a disk",
            "docker: --shm-size=8g; loader.workers=0 needs none",
        )
    elif shared.free < _LITTLE_SHARED:
        yield _warning(
            f"{shared.folder} has {shared.free / _GB:.3g} of {shared.total / _GB:.3g} GB free, room"
            f" for {shared.free // _CLIP} clips of 16 x 224 x 224: loader workers hand over their"
            " batches there, 4 + 2 * loader.buffer of them at a time",
            "docker: --shm-size=8g (or --ipc=host); loader.workers=0 needs none",
        )


def _files(facts: Facts) -> Iterator[Finding]:
    most = facts.machine.files[1]
    if most is not None and most < _FEW_FILES:
        yield _warning(
            f"a process may open {most} files at most: each loader worker takes 12 of the run",
            f"ulimit -Hn {_FEW_FILES} as root, LimitNOFILE of systemd, or docker: --ulimit"
            f" nofile={_FEW_FILES}",
        )


def _cores(facts: Facts) -> Iterator[Finding]:
    cores, quota = facts.machine.cores, facts.machine.quota
    if quota is not None and quota < cores:
        yield _warning(
            f"{cores} cores are seen, and control groups allow the time of {quota:.3g}: so many"
            " loader workers would wait for one another",
            f"loader.workers={max(int(quota), 1)}, or more for the container (docker: --cpus)",
        )
    elif cores == 1:
        yield _warning(
            "one core decodes videos and computes: a GPU or TPU would wait for it",
            "more cores for the process (taskset, Slurm: --cpus-per-task, docker: --cpuset-cpus);"
            " data pack, whose frames are quicker to read",
        )


def _cache(facts: Facts) -> Iterator[Finding]:
    jax = facts.jax
    if jax.trouble:
        return
    if jax.cache_trouble:
        yield _warning(
            f"what is compiled is not kept for the next start: {jax.cache_trouble}",
            "JAX_COMPILATION_CACHE_DIR=FOLDER takes another folder",
        )
    elif jax.cache is None:
        yield _warning(
            "what is compiled is not kept for the next start, as JAX_ENABLE_COMPILATION_CACHE says",
            "unset JAX_ENABLE_COMPILATION_CACHE",
        )


# Variables that make everything slower or different, where they are switched on -> what they do.
_SWITCHES = {
    "JAX_DISABLE_JIT": "has JAX compile nothing: a hundred times slower",
    "JAX_ENABLE_X64": "gives numbers twice the bytes where nothing says how many",
    "JAX_DEBUG_NANS": "waits for every step, and stops where a bad step is passed over",
    "JAX_LOG_COMPILES": "writes a line for each program",
}
_OFF = ("", "0", "false", "off", "no", "n", "f")


def _environment(facts: Facts) -> Iterator[Finding]:
    variables = facts.environment
    if variables.get("XLA_FLAGS", "").strip():
        yield _warning(
            f"XLA_FLAGS={variables['XLA_FLAGS']!r} changes what XLA compiles, for every program",
            "unset XLA_FLAGS, unless it is meant",
        )
    for name, does in _SWITCHES.items():
        value = variables.get(name, "")
        if value.strip().lower() not in _OFF:
            yield _warning(f"{name}={value} {does}", f"unset {name}")
    if variables.get("XLA_PYTHON_CLIENT_ALLOCATOR", "").lower() == "platform":
        yield _warning(
            "XLA_PYTHON_CLIENT_ALLOCATOR=platform asks the driver for every array: slow",
            "unset XLA_PYTHON_CLIENT_ALLOCATOR",
        )
    libraries = variables.get("LD_LIBRARY_PATH", "")
    if facts.machine.gpus and "cuda" in libraries.lower():
        yield _warning(
            f"LD_LIBRARY_PATH={libraries} puts other CUDA libraries before those that came with"
            " JAX",
            "unset LD_LIBRARY_PATH",
        )
