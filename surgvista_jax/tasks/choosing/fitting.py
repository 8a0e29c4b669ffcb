"""What a configuration means for devices: clips that one holds at a time, operations of a clip."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import ml_collections

from surgvista_jax.models.attention import planned_for
from surgvista_jax.tasks.choosing.facts import DeviceFacts
from surgvista_jax.training.beforehand import need_of_step
from surgvista_jax.training.fits_devices import ADVISED
from surgvista_jax.training.partition import RULES, MeshConfig, imagined_mesh
from surgvista_jax.training.run import TrainConfig


class Fitting(NamedTuple):
    """Of one device.

    Attributes:
        clips: that it can hold at a time; None where nothing tells it.
        gflop: that training on a clip takes.
    """

    clips: int | None
    gflop: float


Fit = Callable[[ml_collections.ConfigDict], Fitting]

_CPU_GFLOPS = 10.0  # a second and core that small models come to, measured with two cores


def on_processor(gflop: float, clips: float, devices: DeviceFacts) -> float:
    """Seconds in which a processor trains on so many clips, roughly."""
    return gflop * clips / (_CPU_GFLOPS * max(devices.cores, 1))


def one_update(
    config: ml_collections.ConfigDict, devices: DeviceFacts
) -> ml_collections.ConfigDict:
    """A copy whose budget any devices can share: what is asked of it does not depend on batches."""
    copy = config.copy_and_resolve_references()
    with copy.budget.ignore_type():
        copy.budget.update({"batch_size": 2 * devices.count, "accumulate": 1})
        copy.budget.update({"steps": 1, "epochs": None})
    return copy


def clips_at_a_time(
    task: Any, settings: TrainConfig, config: Any, devices: DeviceFacts, slide: int = 1
) -> int | None:
    """Clips that a device holds beside a task, by shapes alone; None where nothing tells it.

    Args:
        task: of pretraining or finetuning, with `batch_shapes` and `stacks`.
        config: its configuration, for `mesh` and `compute`.
        slide: clips of a row.
    """
    if devices.memory is None or devices.platform == "cpu":
        return None
    mesh_config: MeshConfig = config.mesh
    mesh = imagined_mesh(mesh_config, devices.count)
    with (
        jax.sharding.use_abstract_mesh(mesh),
        nn.logical_axis_rules(RULES),
        planned_for(devices.platform),
    ):
        need = need_of_step(
            task, settings, task.batch_shapes, mesh, config.compute, task.stacks, slide
        )
    return max(int((ADVISED * devices.memory - need.fixed) // need.per_clip), 0)
