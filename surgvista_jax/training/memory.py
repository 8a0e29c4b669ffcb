"""How much memory a training step needs, before anything is loaded or compiled.

Counted are parameters, moments, gradients and what the forward pass keeps for the backward pass, by
tracing shapes alone. A compiler's own buffers come on top, and what it fuses away is counted too:
`fits` speaks up only where the estimate is clearly beyond the device.
"""

import dataclasses
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from surgvista_jax.errors import UserError
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.partition import BATCH_AXES
from surgvista_jax.training.state import TrainState

GB = 1e9
STOP = 1.5  # of the memory: an estimate beyond it cannot fit
WARN = 0.9
_ADVISED = 0.75  # what is advised leaves room for a compiler's buffers
# A kept value costs two operations at least, in any layer: this many bytes an operation is never
# reached, and models that need next to nothing are not traced.
_BYTES_PER_OPERATION = 2.0
_SMALL = 0.25  # of the memory
# Of what a clip keeps, a compiler holds about this much where no loop over blocks makes it write
# everything: 0.56 and 0.66 for ViT-B's pretraining step with and without a teacher (64 clips,
# bfloat16, cuDNN's attention on an H200), against 0.80 and 1.0 as a loop.
_UNROLLED = 0.6


@dataclasses.dataclass(frozen=True)
class Need:
    """Bytes on one device.

    Attributes:
        state: parameters, moments and their running mean.
        gradients: of the parameters, twice where they are accumulated.
        frozen: parameters that are not trained.
        per_clip: what one clip keeps for the backward pass, and its pixels.
        clips: at a time on one device.
    """

    state: float
    gradients: float
    frozen: float
    per_clip: float
    clips: float

    @property
    def fixed(self) -> float:
        """What any batch needs."""
        return self.state + self.gradients + self.frozen

    @property
    def total(self) -> float:
        return self.fixed + self.per_clip * self.clips

    def unrolled(self) -> "Need":
        """The same step with its loop over blocks unrolled."""
        return dataclasses.replace(self, per_clip=_UNROLLED * self.per_clip)


def need_of(
    loss: Callable[..., Any],
    state: TrainState,
    frozen: Any,
    batch: Callable[[int], Mapping[str, jax.ShapeDtypeStruct]],
    budget: BudgetConfig,
    mesh: Mesh,
) -> Need:
    """Estimates a step by shapes alone; call it where the mesh is set.

    Args:
        loss: (params, frozen, batch, key, average) -> (loss, metrics).
        state, frozen: `jax.ShapeDtypeStruct`s with shardings (`abstract_sharded`).
        batch: the shapes and types of a batch of so many clips.
        budget: clips an update, and in how many parts.
        mesh: the devices that share it out.
    """
    shares = math.prod(mesh.shape[axis] for axis in BATCH_AXES)

    def kept(clips: int) -> int:
        def backward(params: Any, fixed: Any, part: Any, seed: jax.Array, mean: Any) -> Any:
            return jax.vjp(lambda p: loss(p, fixed, part, seed, mean), params, has_aux=True)[1]

        key = jax.eval_shape(lambda: jax.random.key(0))
        traced = jax.eval_shape(backward, state.params, frozen, batch(clips), key, state.average)
        return size_of(traced)

    # The difference of two sizes: parameters are kept once, whatever the number of clips.
    few, more = 2 * shares, 4 * shares
    per_clip = (kept(more) - kept(few)) / (more - few) / mesh.shape["model"]
    params = _bytes_of_one(state.params)
    return Need(
        state=_bytes_of_one((state.params, state.opt_state, state.average)),
        gradients=params * (2 if budget.accumulate > 1 else 1),
        frozen=_bytes_of_one(frozen),
        per_clip=per_clip + size_of(batch(1)),
        clips=budget.batch_size / budget.accumulate / shares,
    )


def is_small(
    flops_per_clip: float, parameters: float, budget: BudgetConfig, mesh: Mesh, memory: float
) -> bool:
    """Whether a step surely fits, by its operations and the bytes of all parameters alone."""
    clips = budget.batch_size / budget.accumulate / mesh.size
    # Parameters, two moments, a running mean, gradients and their sum.
    return 6 * parameters + _BYTES_PER_OPERATION * flops_per_clip * clips < _SMALL * memory


def fits(need: Need, memory: float, budget: BudgetConfig, mesh: Mesh, remat: str) -> str | None:
    """What to say of a step on devices with so much memory; None where it fits.

    Raises:
        UserError: it cannot fit, with the keys that would make it.
    """
    if need.total <= WARN * memory:
        return None
    said = (
        f"config.budget.batch_size={budget.batch_size}: a step needs about {_gb(need.total)} on"
        f" each device, which has {_gb(memory)}: {_gb(need.state)} for parameters and moments,"
        f" {_gb(need.gradients + need.frozen)} for gradients and what is not trained,"
        f" {_gb(need.per_clip)} for each of {need.clips:g} clips at a time;"
        f" {', or '.join(_ways(need, memory, budget, mesh, remat))}"
    )
    if need.total > STOP * memory:
        raise UserError(said)
    return said


def _ways(need: Need, memory: float, budget: BudgetConfig, mesh: Mesh, remat: str) -> list[str]:
    """The keys that would make a step fit, those that change no result first."""
    shares = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
    room = _ADVISED * memory - need.fixed
    ways = []
    if budget.accumulate == 1:
        room -= need.gradients
    parts = budget.batch_size // shares
    fitting = [
        parts // clips
        for clips in range(1, parts + 1)
        if parts % clips == 0 and need.per_clip * clips <= room
    ]
    if fitting and min(fitting) > budget.accumulate:
        ways.append(f"config.budget.accumulate={min(fitting)} computes it in parts")
    if remat != "full":
        ways.append("config.compute.remat=full keeps less")
    if mesh.size > mesh.shape["fsdp"]:
        ways.append(f"config.mesh.fsdp={mesh.size // mesh.shape['model']} shares the model out")
    clips = int((_ADVISED * memory - need.fixed) // need.per_clip) if need.per_clip else 0
    if 0 < clips < need.clips:
        ways.append(f"config.budget.batch_size={clips * shares * budget.accumulate}")
    if need.fixed > WARN * memory:
        return [*ways, "a smaller model, or more devices"]
    return [*ways, "smaller clips (config.clip.size, config.clip.num_frames)"]


def device_memory(mesh: Mesh) -> float | None:
    """Bytes that a device may use; None where nothing tells it.

    Of processors, which are one device or made to be several, their part of what is free; that is
    another for each of several processes, which must not decide differently: None.
    """
    devices = [
        device for device in mesh.devices.flat if device.process_index == jax.process_index()
    ]
    if not devices:
        return None
    if devices[0].platform == "cpu":
        free = _free_memory() if jax.process_count() == 1 else None
        return None if free is None else free / len(devices)
    limits = [(device.memory_stats() or {}).get("bytes_limit") for device in devices]
    known = [limit for limit in limits if limit]
    return min(known) if known else None


def _free_memory() -> float | None:
    """Bytes that this machine, or the container around this process, has left."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        found = re.search(r"MemAvailable:\s+(\d+) kB", text)
        free = float(found[1]) * 1024 if found else None
    except OSError:
        pages = "SC_PHYS_PAGES" in os.sysconf_names
        free = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) if pages else None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return free
    return min(free, float(limit)) if free and limit.isdecimal() else free


def size_of(tree: Any) -> int:
    """Bytes of all arrays of a tree of shapes, whole."""
    return sum(math.prod(leaf.shape) * _width(leaf.dtype) for leaf in jax.tree.leaves(tree))


def _bytes_of_one(tree: Any) -> int:
    """Bytes of the shards that one device holds."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * _width(leaf.dtype)
        for leaf in jax.tree.leaves(tree)
    )


def _width(dtype: Any) -> int:
    return 8 if jnp.issubdtype(dtype, jax.dtypes.extended) else jnp.dtype(dtype).itemsize


def _gb(size: float) -> str:
    return f"{size / GB:.3g} GB"
