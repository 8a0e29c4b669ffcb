"""The step of a run, divided among devices that are not here, which processors stand in for."""

import flax.linen as nn
import jax

from surgvista_jax.errors import UserError
from surgvista_jax.training.collectives import Collective, collectives, partitioned
from surgvista_jax.training.compiled_step import CompiledStep, Shapes
from surgvista_jax.training.partition import RULES, MeshConfig, make_mesh
from surgvista_jax.training.run import TrainConfig, abstract_state, step_of
from surgvista_jax.training.state import abstract_sharded
from surgvista_jax.training.task import Task

_CLIPS = 10**6  # that make an epoch: it changes the schedule alone


def simulate(count: int) -> list[jax.Device]:
    """So many devices that are processors' and are there for shapes alone.

    Raises:
        UserError: JAX has started with fewer.
    """
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        pass  # it has started
    devices = jax.devices("cpu")
    if len(devices) < count:
        raise UserError(f"{count} devices: JAX has started with {len(devices)} in this process")
    return devices[:count]


def collectives_of_step(
    task: Task, config: TrainConfig, batch: Shapes, mesh: MeshConfig, count: int
) -> list[Collective]:
    """What so many devices say to one another in a step, which is compiled and never run.

    Args:
        batch: the shapes and types of the batch of all devices.
    """
    made = make_mesh(mesh, simulate(count))
    with jax.set_mesh(made), nn.logical_axis_rules(RULES):
        state = abstract_state(task, config, made)
        frozen = abstract_sharded(task.init_frozen, made)
    step = CompiledStep(step_of(task, config, _CLIPS), {})
    return collectives(partitioned(step.lower(state, frozen, batch, made)), dict(made.shape))
