"""What of a run can be refused before anything is loaded: what its devices cannot hold or share."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
from jax.sharding import Mesh

from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.training import fits_devices, memory
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.partition import RULES, AnyMesh, check_divisible
from surgvista_jax.training.run import TrainConfig, abstract_state
from surgvista_jax.training.stacks import Stack
from surgvista_jax.training.state import abstract_sharded
from surgvista_jax.training.task import Task


def check_memory(
    task: Task,
    config: TrainConfig,
    batch: Callable[[int], Mapping[str, jax.ShapeDtypeStruct]],
    mesh: Mesh,
    compute: ComputeConfig,
    stacks: Sequence[Stack] = (),
    together: int = 1,
) -> str | None:
    """What to say of the memory that a step needs, before anything is loaded; None where it fits.

    Args:
        batch: the shapes and types of a batch of so many rows.
        compute: how its models are computed.
        stacks: those of their blocks that get a gradient, for a row.
        together: clips of a row.

    Raises:
        UserError: it clearly cannot fit.
    """
    available = fits_devices.device_memory(mesh)
    if available is None:
        return None
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        size = memory.size_of(
            (abstract_sharded(task.init_frozen, mesh), abstract_sharded(task.init_trained, mesh))
        )
        flops = max(task.flops_per_clip.values(), default=0.0)
        if memory.is_small(flops, size, config.budget, mesh, available):
            return None
        need = need_of_step(task, config, batch, mesh, compute, stacks, together)
    return fits_devices.fits(need, available, config.budget, mesh, compute.remat, together)


def need_of_step(
    task: Task,
    config: TrainConfig,
    batch: Callable[[int], Mapping[str, jax.ShapeDtypeStruct]],
    mesh: AnyMesh,
    compute: ComputeConfig,
    stacks: Sequence[Stack] = (),
    together: int = 1,
) -> memory.Need:
    """The memory that a step needs on a mesh that is set; the arguments are `check_memory`'s."""
    state = abstract_state(task, config, mesh)
    frozen = abstract_sharded(task.init_frozen, mesh)
    rows = dataclasses.replace(config.budget, batch_size=config.budget.batch_size // together)
    need = memory.need_of(task.loss, state, frozen, batch, rows, mesh, compute, stacks)
    return dataclasses.replace(need, per_clip=need.per_clip / together, clips=need.clips * together)


def check_mesh(mesh: AnyMesh, budget: BudgetConfig, task: Task, together: int = 1) -> None:
    """Raises UserError for a batch or a model that the mesh cannot share out evenly.

    together: clips of a row of a batch.
    """
    check_divisible(
        mesh,
        batch_size=budget.batch_size,
        accumulate=budget.accumulate,
        dims=task.sharded_dims,
        together=together,
    )
