"""What do devices say to one another in a step?  Read off the step's program, divided among them.

XLA divides a program among devices before it looks at which these are: what is exchanged, and in
which type, is found on simulated processors as it is on a pod.
"""

import functools
import math
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

KINDS = ("all-reduce", "reduce-scatter", "all-gather", "all-to-all", "collective-permute")
_PASS = "spmd-partitioning"
_BYTES = {
    **dict.fromkeys(("pred", "s8", "u8", "f8e4m3fn", "f8e5m2"), 1),
    **dict.fromkeys(("bf16", "f16", "s16", "u16"), 2),
    **dict.fromkeys(("f32", "s32", "u32"), 4),
    **dict.fromkeys(("f64", "s64", "u64"), 8),
}
# The program that comes out is thrown away.
_CHEAPLY: dict[str, str | bool] = {
    "xla_dump_hlo_pass_re": _PASS,
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": True,
}
_COMPUTATION = re.compile(r"^(?:ENTRY )?(%\S+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?(%\S+) = (.*?) ([\w-]+)\((.*)$")
_ARRAY = re.compile(r"\b([a-z]\w*)\[([\d,]*)\]")


class Collective(NamedTuple):
    """Exchanges of one kind over the same axes of the mesh, in one step.

    Attributes:
        kind: of `KINDS`.
        axes: of the mesh, along which the devices of a group lie.
        group: devices that exchange with one another.
        dtype: as HLO calls it, such as "bf16".
        times: how many in a step.
        bytes: of all of them: of the arrays that a group makes, or, where it scatters, divides up.
    """

    kind: str
    axes: tuple[str, ...]
    group: int
    dtype: str
    times: int
    bytes: int

    @property
    def sent(self) -> float:
        """Bytes that each device sends at least, which a ring around the group does."""
        if self.kind == "collective-permute":
            return self.bytes
        share = (self.group - 1) / self.group
        return (2 if self.kind == "all-reduce" else 1) * share * self.bytes


def partitioned(lowered: jax.stages.Lowered) -> str:
    """The program of one device as HLO text, divided up and not yet optimised for a machine.

    It is compiled as a whole for that, and thrown away. "" for a program of one device.
    """
    enabled = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory(prefix="surgvista-") as folder:
        try:
            # A program that is kept is not compiled.
            jax.config.update("jax_enable_compilation_cache", False)
            compilation_cache.reset_cache()
            lowered.compile(compiler_options={**_CHEAPLY, "xla_dump_to": folder})
        finally:
            jax.config.update("jax_enable_compilation_cache", enabled)
            compilation_cache.reset_cache()
        found = sorted(Path(folder).glob(f"*after_{_PASS}*"))
        return found[-1].read_text() if found else ""


def collectives(text: str, mesh: Mapping[str, int]) -> list[Collective]:
    """What is exchanged in one run of a program, by kind, axes and type; the most bytes first.

    An all-reduce of which only a slice is used counts as the reduce-scatter that compilers for GPUs
    and TPUs make of it.

    Args:
        text: of `partitioned`.
        mesh: axis -> size, of devices numbered in the order of the mesh.

    Raises:
        ValueError: it has a loop of which it does not say how often it goes round, or names groups
            in a way that is not known here.
    """
    bodies = _computations(text)
    counts: dict[tuple[str, tuple[str, ...], int, str], int] = defaultdict(int)
    sizes: dict[tuple[str, tuple[str, ...], int, str], int] = defaultdict(int)
    for name, times in _times(bodies).items():
        lines = bodies[name]
        for own, shape, operation, rest in lines:
            kind = operation.removesuffix("-start")
            if kind not in KINDS:
                continue
            group = _first_group(rest, math.prod(mesh.values()))
            if len(group) == 1:
                continue
            if kind == "all-reduce" and _is_sliced(own, lines):
                kind = "reduce-scatter"
            by_type: dict[str, int] = defaultdict(int)
            for dtype, sides in _ARRAY.findall(shape):
                by_type[dtype] += _BYTES[dtype] * math.prod(
                    map(int, filter(None, sides.split(",")))
                )
            for number, (dtype, size) in enumerate(by_type.items()):
                if operation == "reduce-scatter":
                    size *= len(group)
                key = (kind, _axes(group, mesh), len(group), dtype)
                counts[key] += 0 if number else times
                sizes[key] += size * times
    found = [
        Collective(kind, axes, group, dtype, counts[key], sizes[key])
        for key in sizes
        for kind, axes, group, dtype in [key]
    ]
    return sorted(found, key=lambda one: -one.sent)


Instruction = tuple[str, str, str, str]  # its name, shape, operation, and what follows the bracket


def _computations(text: str) -> dict[str, list[Instruction]]:
    """Name -> instructions; that of the program itself is called "ENTRY"."""
    found: dict[str, list[Instruction]] = {}
    lines: list[Instruction] = []
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            lines = found["ENTRY" if line.startswith("ENTRY") else head[1]] = []
        elif instruction := _INSTRUCTION.match(line):
            name, shape, operation, rest = instruction.groups()
            lines.append((name, shape, operation, rest))
    return found


def _times(bodies: Mapping[str, list[Instruction]]) -> dict[str, int]:
    """How often each computation that exchanges something, or calls one that does, is run."""
    times: dict[str, int] = defaultdict(int)

    @functools.cache
    def exchanges(name: str) -> bool:
        return any(
            operation.removesuffix("-start") in KINDS
            or any(map(exchanges, _called(operation, rest)))
            for _, _, operation, rest in bodies[name]
        )

    def run(name: str, often: int) -> None:
        times[name] += often
        for _, _, operation, rest in bodies[name]:
            for called in filter(exchanges, _called(operation, rest)):
                run(called, often * (_rounds(bodies, rest) if operation == "while" else 1))

    if "ENTRY" in bodies:
        run("ENTRY", 1)
    return times


def _called(operation: str, rest: str) -> list[str]:
    keys = {"while": "body", "call": "to_apply", "conditional": "branch_computations"}
    key = keys.get(operation)
    found = re.search(rf"\b{key}=\{{?([^,}}]+(?:, %[^,}}]+)*)", rest) if key else None
    return re.findall(r"%[\w.-]+", found[1]) if found else []


def _rounds(bodies: Mapping[str, list[Instruction]], rest: str) -> int:
    """Of a loop that counts from 0 up to a constant, as all of `jax.lax.scan` do."""
    known = re.search(r'known_trip_count"?:\{"n":"(\d+)"', rest)
    if known:
        return int(known[1])
    condition = re.search(r"condition=(%[\w.-]+)", rest)
    lines = bodies[condition[1]] if condition else []
    limits = [rest for _, shape, operation, rest in lines if operation == "constant"]
    counts_up = any("direction=LT" in rest for _, _, _, rest in lines)
    if len(limits) != 1 or not counts_up:
        raise ValueError("a loop does not say how often it goes round")
    return int(limits[0].partition(")")[0])


def _is_sliced(name: str, lines: list[Instruction]) -> bool:
    """Whether all that is used of an array is one slice of it."""
    used = re.compile(rf"{re.escape(name)}(?![\w.-])")
    users = [operation for _, _, operation, rest in lines if used.search(rest)]
    return users == ["dynamic-slice"]


def _first_group(rest: str, devices: int) -> list[int]:
    """The devices of one of the groups, which are alike."""
    if named := re.search(
        r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\(([^ ]*)\))? \{(.*?)\}", rest
    ):
        sizes = {axis: int(size) for axis, size in re.findall(r"'([^']+)'=(\d+)", named[1])}
        axes = re.findall(r"'([^']+)'(?=,|$)", named[3].strip())
        if named[3].count("'") != 2 * len(axes) or ":" in named[3]:
            raise ValueError(f"groups {named[0]!r} are not known here")
        numbers = _iota(named[2], devices).reshape(*sizes.values())
        at = tuple(slice(None) if axis in axes else 0 for axis in sizes)
        return [int(number) for number in numbers[at].ravel()]
    if listed := re.search(r"(?:replica_groups|source_target_pairs)=\{(?:\{([\d,]+)\}|\})", rest):
        return [int(number) for number in listed[1].split(",")] if listed[1] else [*range(devices)]
    if short := re.search(r"replica_groups=\[(\d+),(\d+)\]<=(\[\S+?)(?:, |$)", rest):
        numbers = _iota(short[3].rstrip(","), devices).reshape(int(short[1]), int(short[2]))
        return [int(number) for number in numbers[0]]
    raise ValueError(f"groups are not known here: {rest[:200]!r}")


def _iota(text: str | None, devices: int) -> np.ndarray:
    """What "[32,8]T(1,0)" says of the order of devices."""
    numbers = np.arange(devices)
    if text:
        sizes = re.match(r"\[([\d,]+)\]", text)
        if sizes is None:
            raise ValueError(f"an order of devices {text!r} is not known here")
        numbers = numbers.reshape([int(size) for size in sizes[1].split(",")])
        if order := re.search(r"T\(([\d,]+)\)", text):
            numbers = numbers.transpose([int(axis) for axis in order[1].split(",")])
    return numbers


def _axes(group: list[int], mesh: Mapping[str, int]) -> tuple[str, ...]:
    """Axes of the mesh along which the devices of a group differ."""
    places = np.unravel_index(group, list(mesh.values()))
    return tuple(axis for axis, along in zip(mesh, places, strict=True) if len(set(along)) > 1)
