"""What did the devices do in a JAX profiler's trace: shares of kinds of work, and of waiting?"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

# Kind of work -> what names of kernels (GPUs) and operations (others) hold, the first that fits.
KINDS = {
    "collectives": r"nccl|all.?(reduce|gather|to.?all)|reduce.?scatter|collective|send|recv",
    "attention": r"flash|fmha|sdpa|attention|\bmha|cudnn.*(fprop|bprop|sm\d+)",
    "matrix products": r"gemm|cutlass|cublas|nvjet|xmma|wgmma|matmul|\bdot|convolution|ynn|onednn",
    "copies": r"memcpy|memset|\bcopy|transpose|infeed|outfeed",
}
REST, GAPS = "elementwise and reductions", "host gaps"
# Operations that only hold others, which are events of their own.
_HOLDERS = re.compile(r"(while|call|conditional)(\.|$)")
_LONGEST = 5  # operations that are named


class Work(NamedTuple):
    """An operation of a device: its name, and when it ran, in ns."""

    name: str
    start: float
    end: float


class Summary(NamedTuple):
    """Means over the devices of a trace.

    Attributes:
        milliseconds: from the first operation to the end of the last.
        shares: kind of work -> share of that time; of kinds that ran at once both count. GAPS is
            the share in which nothing ran.
        longest: the operations that took most, and their shares.
    """

    milliseconds: float
    shares: dict[str, float]
    longest: list[tuple[str, float]]

    def in_words(self) -> str:
        """One line."""
        shares = sorted(self.shares.items(), key=lambda item: -item[1])
        said = ", ".join(f"{kind} {share:.1%}" for kind, share in shares)
        longest = ", ".join(f"{name} {share:.1%}" for name, share in self.longest)
        return f"{said}; longest: {longest}"


def newest_trace(folder: Path) -> Path | None:
    """The file of the newest trace in a folder, at whatever depth; None without one."""
    files = folder.rglob("*.xplane.pb")
    return max(files, key=lambda path: path.stat().st_mtime_ns, default=None)


def summarise(trace: Path) -> Summary | None:
    """Reads a trace; None where no device did anything."""
    return summary_of(work_by_device(jax.profiler.ProfileData.from_file(str(trace))))


def work_by_device(trace: Any) -> list[list[Work]]:
    """The operations of each device of a trace (`jax.profiler.ProfileData`).

    A GPU's are the kernels of its streams, a TPU's the line of XLA's operations; a processor has no
    device's plane, and its operations stand among the host's, with their number of the device.
    """
    devices: dict[str, list[Work]] = defaultdict(list)
    for plane in trace.planes:
        own = plane.name.startswith("/device:")
        for line in plane.lines:
            if own and not (line.name.startswith("Stream") or line.name == "XLA Ops"):
                continue
            for event in line.events:
                device = plane.name if own else _processor_of(event)
                if device is not None and not _HOLDERS.match(event.name):
                    end = event.start_ns + event.duration_ns
                    devices[device].append(Work(event.name, event.start_ns, end))
    return [devices[name] for name in sorted(devices)]


def summary_of(devices: Iterable[list[Work]]) -> Summary | None:
    """The summary of the operations of each device; None without any."""
    found = [_of_device(work) for work in devices if work]
    if not found:
        return None

    def mean(values: Iterable[float]) -> float:
        return sum(values) / len(found)

    names = {name for one in found for name, _ in one.longest}
    each = [dict(one.longest) for one in found]
    longest = [(name, mean(shares.get(name, 0.0) for shares in each)) for name in names]
    return Summary(
        mean(one.milliseconds for one in found),
        {kind: mean(one.shares[kind] for one in found) for kind in found[0].shares},
        sorted(longest, key=lambda item: -item[1])[:_LONGEST],
    )


def kind_of(name: str) -> str:
    """What kind of work an operation is, by its name."""
    fits = (kind for kind, words in KINDS.items() if re.search(words, name, re.IGNORECASE))
    return next(fits, REST)


def _of_device(work: list[Work]) -> Summary:
    whole = max(one.end for one in work) - min(one.start for one in work)
    by_kind: dict[str, list[Work]] = {kind: [] for kind in (*KINDS, REST)}
    by_name: dict[str, list[Work]] = defaultdict(list)
    for one in work:
        by_kind[kind_of(one.name)].append(one)
        by_name[one.name].append(one)

    def share(some: list[Work]) -> float:
        return sum(end - start for start, end in _together(some)) / whole if whole else 0.0

    shares = {kind: share(some) for kind, some in by_kind.items()}
    shares[GAPS] = max(0.0, 1.0 - share(work))
    longest = sorted(((name, share(some)) for name, some in by_name.items()), key=lambda x: -x[1])
    return Summary(whole / 1e6, shares, longest)


def _together(work: list[Work]) -> Iterator[tuple[float, float]]:
    """The spans in which any of some operations ran, one after the other."""
    start = end = None
    for one in sorted(work, key=lambda one: one.start):
        if start is None or end is None:
            start, end = one.start, one.end
        elif one.start <= end:
            end = max(end, one.end)
        else:
            yield start, end
            start, end = one.start, one.end
    if start is not None and end is not None:
        yield start, end


def _processor_of(event: Any) -> str | None:
    """Which simulated device ran an event of the host; None of one that is no operation's."""
    stats = dict(event.stats)
    return f"cpu {stats.get('device_ordinal', 0)}" if "hlo_op" in stats else None
