"""What a run says of itself at its start: device, parameters, data, steps, expected time."""

import dataclasses
import math
from typing import Any

import jax
from jax.sharding import Mesh

from surgvista_jax.cores import available_cores
from surgvista_jax.counted import counted
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.durations import in_words
from surgvista_jax.training.planning import DEVICES, rate_of


@dataclasses.dataclass(frozen=True)
class Banner:
    """What is told.

    Attributes:
        devices: in words (`devices_in_words`).
        trained, frozen: numbers of parameters.
        videos, clips: that are trained on.
        steps: of the whole run, in words (`steps_in_words`); "" where none are taken.
        time: that is expected, in words; "" where it will be told later.
    """

    devices: str
    trained: int
    frozen: int
    videos: int
    clips: int
    steps: str = ""
    time: str = ""

    def __str__(self) -> str:
        rows = [
            ("device", self.devices),
            ("parameters", f"{_many(self.trained)} trained, {_many(self.frozen)} frozen"),
            ("data", f"{counted(self.videos, 'video')}, {counted(self.clips, 'clip')}"),
            ("steps", self.steps),
            ("expected time", self.time),
        ]
        return "\n".join(f"{name + ':':<15}{said}" for name, said in rows if said)


def devices_in_words(mesh: Mesh) -> str:
    """The devices of a mesh: "8 x NVIDIA H100 80GB HBM3 (data 8)", "1 x cpu (2 cores)"."""
    kind, platform = mesh.devices.flat[0].device_kind, mesh.devices.flat[0].platform
    said = f"{mesh.size} x {kind}"
    if platform == "cpu":
        return f"{said} ({counted(available_cores(), 'core')})"
    shared = ", ".join(f"{axis} {size}" for axis, size in mesh.shape.items() if size > 1)
    return f"{said} ({shared})" if shared else said


def steps_in_words(budget: BudgetConfig, clips: int, done: int) -> str:
    """Updates of a run: "150 of 16 clips (2.5 epochs), from step 75 on"."""
    steps = budget.num_steps(clips)
    epochs = steps / budget.steps_per_epoch(clips)
    began = f", from step {done:,} on" if done else ""
    return f"{steps:,} of {counted(budget.batch_size, 'clip')} ({epochs:.3g} epochs){began}"


def planned_time(program: str, mesh: Mesh, flops_per_clip: float, clips: float) -> str:
    """The time of so many clips, where the rate of the device is known; else "".

    Args:
        program: as of `planning.MEASURED`.
        flops_per_clip: without recomputation.
        clips: that are to be trained on.
    """
    kind = mesh.devices.flat[0].device_kind
    device = next((name for name, known in DEVICES.items() if kind.startswith(known.kind)), None)
    if device is None or not flops_per_clip or not program:
        return ""
    rate = rate_of(program, device, flops_per_clip)
    seconds = clips / (rate.clips_per_second * mesh.size)
    return f"about {in_words(seconds)} of training, {rate.source}"


def count_of(tree: Any) -> int:
    """The numbers in all arrays of a tree, which may be shapes alone."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _many(number: int) -> str:
    return f"{number / 1e6:,.3g} million" if number >= 1e6 else f"{number:,}"
