"""What a person reads of it: the facts, and below them what will hurt."""

import dataclasses
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from surgvista_jax.checkup.facts import Facts, Machine, Package
from surgvista_jax.checkup.judge import Finding

_GIB = 2**30
_WIDTH, _INDENT = 100, 16


def as_dict(facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    """All of it, as JSON holds it; sizes in bytes."""
    return {
        **dataclasses.asdict(facts),
        "findings": [dataclasses.asdict(finding) for finding in findings],
    }


def as_text(facts: Facts, findings: Sequence[Finding]) -> str:
    """The facts in rows, then a line for each thing that hurts, its remedy below it."""
    lines, before = [], ""
    for name, value in _rows(facts):
        start = f"{'' if name == before else name:<{_INDENT}}"
        lines += textwrap.wrap(
            value,
            _WIDTH,
            initial_indent=start,
            subsequent_indent=" " * _INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [start]
        before = name
    lines += ["", "What will hurt:" if findings else "Nothing here will hurt."]
    for finding in findings:
        start = "ERROR: " if finding.level == "error" else ""
        lines += [f"- {start}{finding.text}", f"    -> {finding.remedy}"]
    return "\n".join(lines)


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    installed, jax, machine, decoders = facts.installed, facts.jax, facts.machine, facts.decoders
    yield "surgvista_jax", f"{installed.version}, Python {installed.python}"
    yield "system", machine.system
    packages = [_package(package) for package in installed.needed]
    packages += [f"{name} {version}" for name, version in _beside(facts)]
    yield "packages", ", ".join(packages)
    yield (
        "extras",
        "present: " + (", ".join(n for n, m in installed.extras.items() if not m) or "-"),
    )
    for extra, lacking in installed.extras.items():
        if lacking:
            yield "extras", f"{extra} lacks {', '.join(lacking)}"
    yield "JAX", jax.trouble or f"computes on {jax.backend}"
    for number, device in enumerate(jax.devices):
        memory = "" if device.memory is None else f", {_size(device.memory)} for JAX"
        yield "devices", f"{number}: {device.kind}{memory}"
    yield from _of_gpus(machine)
    if jax.cudnn is not None:
        yield "cuDNN", jax.cudnn
    for line in jax.said:
        yield "JAX says", line
    yield (
        "videos",
        decoders.videos_trouble
        or f"FFmpeg {decoders.ffmpeg}: "
        + ", ".join(
            f"{kind} {'NOT' if name is None else 'by ' + name}"
            for kind, name in decoders.codecs.items()
        ),
    )
    if decoders.libraries:
        yield "", ", ".join(f"{name} {version}" for name, version in decoders.libraries.items())
    yield (
        "pictures",
        decoders.pictures_trouble
        or (f"OpenCV {decoders.opencv}: JPEG {'is' if decoders.jpeg else 'is NOT'} read"),
    )
    yield from _of_machine(machine)
    yield (
        "compiled",
        f"{jax.cache or 'not kept'}"
        + ("" if machine.cache is None else f", {_size(machine.cache)}"),
    )
    for name, value in facts.environment.items():
        yield "variables", f"{name}={value}"


def _package(package: Package) -> str:
    if package.fits:
        return f"{package.name} {package.version}"
    return f"{package.name} {package.version or 'MISSING'} (needed: {package.needed or 'any'})"


def _beside(facts: Facts) -> Iterator[tuple[str, str]]:
    needed = {package.name for package in facts.installed.needed}
    for builds in (facts.installed.opencv, facts.installed.builds):
        yield from ((name, version) for name, version in builds.items() if name not in needed)


def _of_gpus(machine: Machine) -> Iterator[tuple[str, str]]:
    for gpu in machine.gpus:
        yield (
            "nvidia-smi",
            f"{gpu.name}, {_size(gpu.used)} of {_size(gpu.memory)} in use, driver {gpu.driver},"
            f" compute capability {gpu.capability}",
        )
    if not machine.gpus:
        yield "nvidia-smi", machine.gpus_trouble or "shows no GPU"


def _of_machine(machine: Machine) -> Iterator[tuple[str, str]]:
    limit = "no limit" if machine.limit is None else f"limit {_size(machine.limit)}"
    yield "memory", f"{_size(machine.free)} free of {_size(machine.memory)}, {limit} of a container"
    shared = machine.shared
    yield (
        "shared memory",
        (
            "none"
            if shared is None
            else f"{shared.folder}: {_size(shared.free)} free of {_size(shared.total)}"
        ),
    )
    soft, most = ("any number" if number is None else str(number) for number in machine.files)
    yield "open files", f"{soft}, at most {most}"
    quota = "" if machine.quota is None else f", the time of {machine.quota:.3g}"
    yield "cores", f"{machine.cores}{quota}"


def _size(number: float | None) -> str:
    if number is None:
        return "?"
    return f"{number / 2**20:.3g} MiB" if number < _GIB else f"{number / _GIB:.3g} GiB"
