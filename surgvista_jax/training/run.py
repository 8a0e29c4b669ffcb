"""The one skeleton of every run: a task is trained, or goes on, in a run folder."""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.errors import UserError
from surgvista_jax.training import goodput, loop
from surgvista_jax.training.banner import (
    Banner,
    count_of,
    devices_in_words,
    planned_time,
    steps_in_words,
)
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints
from surgvista_jax.training.compiled_step import CompiledStep, Shapes
from surgvista_jax.training.loop import Batches, Finished, Hook, LoopConfig, Run
from surgvista_jax.training.names import Names
from surgvista_jax.training.optim import Optimizer
from surgvista_jax.training.partition import (
    AnyMesh,
    batch_sharding,
    process_rows,
)
from surgvista_jax.training.preemption import Preemption
from surgvista_jax.training.rundir import DESCRIBED
from surgvista_jax.training.state import (
    TrainState,
    abstract_sharded,
    create_filled,
    initial_state,
)
from surgvista_jax.training.step import make_train_step
from surgvista_jax.training.task import Task
from surgvista_jax.training.writers import MetricWriter


@dataclasses.dataclass(frozen=True)
class Data:
    """What a run trains on.

    Attributes:
        clips: how many make an epoch; places for clips, where some of them are empty.
        batches: (rows, start_step, num_steps) -> this process's rows of the batch of `start_step`
            and of the following: a function of the step alone.
        names: what clips and frames are called in messages.
        shapes: rows of a batch -> the shapes and types of what the loss sees of it; None where
            batches differ in them.
        together: places for clips in a row of a batch, of which the batch size counts each.
        filled: the share of places that hold a clip.
        videos: that the clips are of.
    """

    clips: int
    batches: Callable[[np.ndarray, int, int], Batches]
    names: Names = Names()
    shapes: Callable[[int], Shapes] | None = None
    together: int = 1
    filled: float = 1.0
    videos: int = 0


@dataclasses.dataclass
class Loaded:
    """Parts that are not drawn at random, as NumPy trees by name; the others are.

    Attributes:
        trained: of `Task.init_trained`.
        frozen: of `Task.init_frozen`.
    """

    trained: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    frozen: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def drop(self) -> None:
        """Frees them on this host, once they are on the devices."""
        self.trained = self.frozen = {}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a task is trained, kept and watched, whatever it is.

    Attributes:
        seed: all randomness of step n is drawn from (seed, n).
        average: the decay of a running mean of the parameters; 0 keeps none.
        options: the compiler's, for the step (`xla_options.options_for`).
        check: of the compiled step's text, see `CompiledStep`.
        program: whose rates `planning` knows; "" for another.
    """

    budget: BudgetConfig
    optimizer: Optimizer
    checkpoint: CheckpointConfig
    loop: LoopConfig
    seed: int
    average: float = 0.0
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    check: Callable[[str], None] | None = None
    program: str = ""


def train(
    task: Task,
    data: Data,
    config: TrainConfig,
    workdir: Path,
    *,
    mesh: Mesh,
    loaded: Loaded,
    meta: Mapping[str, Any],
    hooks: Callable[[Run], Sequence[Hook]] = lambda run: (),
) -> Finished:
    """Trains, or continues to train, on a mesh that is set; all processes call it.

    Args:
        workdir: the run's folder, claimed for it.
        loaded: what does not start at random; dropped as soon as it is on the devices.
        meta: saved with each checkpoint. A run goes on only where all of it is the same, but for
            "sources", which says where things were found, "fps", which "data" holds as well, and
            "computed", a list: what of it the version that began the run did not say is told.
        hooks: what is to be done now and then, made for the run that is about to go on.

    Raises:
        UserError: the checkpoint is of other data, weights, seed or batch; what `run_to_end`
            raises.
    """
    budget, optimizer = config.budget, config.optimizer.transform
    num_steps = budget.num_steps(data.clips)
    step = step_of(task, config, data.clips)

    def first_state(params: Any) -> TrainState:
        return initial_state(params, optimizer, average=config.average > 0)

    abstract = abstract_state(task, config, mesh)
    abstract_frozen = abstract_sharded(task.init_frozen, mesh)
    writes = jax.process_index() == 0
    with (
        Preemption(),
        Checkpoints(workdir, config.checkpoint) as checkpoints,
        CompiledStep(step, config.options, config.check) as compiled,
    ):
        if not checkpoints.begun():
            shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
            trained = create_filled(task.init_trained, loaded.trained, mesh, abstract.params)
            begin = jax.jit(first_state, out_shardings=shardings, donate_argnums=0)
            state, window = begin(trained), None
        else:
            state, window = restore_state(checkpoints, abstract, meta)
        done = int(state.step)
        if done and writes:
            # Checkpoints of MS-TCN had no window, nor were their updates computed by this step.
            last_digits = "" if window else "; an earlier version began it: last digits may differ"
            said = f"{workdir}: continuing from step {done} of {num_steps}{last_digits}"
            print(said, file=sys.stderr)
        if writes and done < num_steps:
            print(_banner(task, data, config, mesh, abstract, done), file=sys.stderr)
        if data.shapes is not None and done < num_steps:
            shapes = data.shapes(budget.batch_size // data.together)
            compiled.compile_ahead(abstract, abstract_frozen, shapes, mesh)
        frozen = create_filled(task.init_frozen, loaded.frozen, mesh, abstract_frozen)
        loaded.drop()
        rows = process_rows(batch_sharding(mesh), budget.batch_size // data.together)
        with MetricWriter(workdir, active=writes, step=done) as writer:
            run = Run(
                workdir=workdir,
                mesh=mesh,
                config=config.loop,
                step=compiled,
                state=state,
                frozen=frozen,
                batches=data.batches(rows, done, num_steps),
                num_steps=num_steps,
                batch_size=budget.batch_size * data.filled,
                checkpoints=checkpoints,
                writer=writer,
                meta=meta,
                window=window,
                names=data.names,
                flops_per_clip=task.flops_per_clip,
                clock=goodput.current(),
            )
            return loop.run_to_end(run, hooks(run))


def _banner(
    task: Task, data: Data, config: TrainConfig, mesh: Mesh, abstract: TrainState, done: int
) -> Banner:
    """What is told at the start, after so many steps."""
    budget = config.budget
    frozen = jax.eval_shape(task.init_frozen)
    clips = (budget.num_steps(data.clips) - done) * budget.batch_size
    return Banner(
        devices_in_words(mesh),
        trained=count_of(abstract.params),
        frozen=count_of(frozen),
        videos=data.videos,
        clips=round(data.clips * data.filled),
        steps=steps_in_words(budget, data.clips, done),
        time=planned_time(config.program, mesh, task.flops_per_clip.get("mfu", 0.0), clips),
    )


def step_of(
    task: Task, config: TrainConfig, clips: int
) -> Callable[[TrainState, Any, dict], tuple[TrainState, dict[str, jax.Array]]]:
    """The step of a run, to be compiled.

    Args:
        clips: that make an epoch.
    """
    budget = config.budget
    return make_train_step(
        task.loss,
        config.optimizer.transform,
        config.optimizer.schedule(budget.steps_per_epoch(clips), budget.num_steps(clips)),
        accumulate=budget.accumulate,
        seed=config.seed,
        average=config.average,
    )


def abstract_state(task: Task, config: TrainConfig, mesh: AnyMesh) -> TrainState:
    """The shapes, types and shardings of a run's state."""
    found: TrainState = abstract_sharded(
        lambda: initial_state(
            task.init_trained(), config.optimizer.transform, average=config.average > 0
        ),
        mesh,
    )
    return found


_NOT_DECISIVE = ("sources", "fps", "computed", DESCRIBED)


def restore_state(
    checkpoints: Checkpoints, abstract: TrainState, meta: Mapping[str, Any]
) -> tuple[TrainState, dict | None]:
    """The newest checkpoint's state, and its log window where it has one.

    Args:
        abstract: shapes and shardings of the state (`abstract_sharded`).
        meta: as for `train`.

    Raises:
        UserError: it was trained with another; or what `Checkpoints.restore` raises.
    """
    restored = checkpoints.restore(abstract.params, abstract.opt_state, abstract.average)
    for key, value in meta.items():
        if key not in _NOT_DECISIVE and restored.meta.get(key) != value:
            raise UserError(
                f"{checkpoints.folder}: the checkpoint of step {restored.step} was trained with"
                f" another {key} ({restored.meta.get(key)}, now {value}); take another --workdir"
            )
    said = restored.meta.get("computed", [])
    new = [text for text in meta.get("computed", ()) if text not in said]
    if new and jax.process_index() == 0:
        began = f"WARNING: {checkpoints.folder.parent}: an earlier version began this run; now"
        print(f"{began} {'; '.join(new)}", file=sys.stderr)
    step = jax.jit(lambda: jax.numpy.int32(restored.step), out_shardings=abstract.step.sharding)()
    state = TrainState(step, restored.params, restored.opt_state, restored.average)
    return state, restored.meta.get("window")
