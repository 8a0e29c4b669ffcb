"""The pretraining program: a dataset folder in, a pretrained student out.

`surgvista pretrain --config=FILE.py --workdir=DIR [--config.a.b=VALUE …]`
"""

import argparse
import functools
import math
import signal
import sys
from pathlib import Path

import flax.linen as nn
import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.commands.figure_reconstruction import figure_batch, make_caption, predict_pixels
from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.masked import pretrain_batches
from surgvista_jax.data.dataset import Dataset, fingerprint
from surgvista_jax.data.storage.mixture import read_folders
from surgvista_jax.data.storage.records import shard_faults
from surgvista_jax.errors import UserError
from surgvista_jax.figures.reconstruction_sheet import draw
from surgvista_jax.tasks.clip_names import clip_names
from surgvista_jax.tasks.pretraining.start import student_weights, teacher_weights
from surgvista_jax.tasks.pretraining.task import PretrainConfig, Pretraining, make_pretraining
from surgvista_jax.training import loop, processes
from surgvista_jax.training.checkpoint import Checkpoints
from surgvista_jax.training.optim import make_optimizer, make_schedule
from surgvista_jax.training.partition import (
    RULES,
    batch_sharding,
    check_divisible,
    make_mesh,
    process_rows,
    replicated,
)
from surgvista_jax.training.resume import restore_state
from surgvista_jax.training.rundir import claim
from surgvista_jax.training.state import (
    TrainState,
    abstract_sharded,
    create_filled,
    initial_state,
)
from surgvista_jax.training.step import make_train_step
from surgvista_jax.training.writers import MetricWriter
from surgvista_jax.weights.provenance import as_json, of_dataset

# What changes how a run is computed or watched, but not its result: a run may be continued with
# other values of these. Data and weights may have moved: digests say whether they are the same.
FREE_KEYS = (
    *("loader", "mesh", "checkpoint", "loop", "figure"),
    *("compute.unroll", "compute.remat", "data.folder", "init", "teacher.weights"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", required=True, metavar="FILE.py[:ARGUMENT]", help="a file with get_config"
    )
    parser.add_argument(
        "--workdir", required=True, type=Path, help="the run's folder; a run there is continued"
    )
    processes.add_arguments(parser)
    parser.epilog = "--config.a.b=VALUE replaces a value of the configuration"


def main(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, PretrainConfig, arguments.overrides)
    processes.join(arguments)
    finished = pretrain(config, arguments.workdir)
    # Cut short is no success, though nothing is lost: the shell's number for SIGTERM.
    return 128 + signal.SIGTERM if finished.preempted else 0


def pretrain(config_dict: ml_collections.ConfigDict, workdir: Path) -> loop.Finished:
    """Runs, or continues, the pretraining of a configuration in a run folder.

    Raises:
        UserError: whatever of the configuration, the data, the folder or the machine does not fit.
    """
    config = build(PretrainConfig, config_dict)
    if not config.data.folder:
        raise UserError("config.data.folder is empty: say --config.data.folder=DATASET")
    task = make_pretraining(config)
    mesh = make_mesh(config.mesh)
    budget = config.budget
    check_divisible(
        mesh, batch_size=budget.batch_size, accumulate=budget.accumulate, dims=task.sharded_dims
    )
    dataset = read_folders(config.data.folder, config.data.split, config.data.root)
    student, teacher = student_weights(task), teacher_weights(task)
    claim(workdir, config_dict, FREE_KEYS)
    if jax.process_index() == 0:
        for folder in dict.fromkeys(folder for folder, _ in dataset.places()):
            for fault in shard_faults(folder):
                print(f"WARNING: {fault}", file=sys.stderr)

    clips = sum(video.num_frames for video in dataset.videos)
    steps_per_epoch = max(clips // budget.batch_size, 1)
    num_steps = budget.steps or math.ceil(budget.epochs * steps_per_epoch)
    optimizer = make_optimizer(config.optim)
    step = make_train_step(
        task.loss,
        optimizer,
        make_schedule(config.optim, budget.batch_size, steps_per_epoch, num_steps),
        accumulate=budget.accumulate,
        seed=config.seed,
    )
    meta = {
        "data": fingerprint(dataset),
        "init": student.digest,
        "teacher": teacher.digest,
        "seed": config.seed,
        "batch_size": budget.batch_size,
    }
    sources = as_json([of_dataset(dataset), *student.sources, *teacher.sources])

    with (
        jax.set_mesh(mesh),
        nn.logical_axis_rules(RULES),
        Checkpoints(workdir, config.checkpoint) as checkpoints,
    ):

        def first_state(params: dict) -> TrainState:
            return initial_state(params, optimizer)

        abstract = abstract_sharded(lambda: first_state(task.init_student()), mesh)
        if checkpoints.latest() is None:
            params = create_filled(task.init_student, student.params, mesh)
            shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
            state = jax.jit(first_state, out_shardings=shardings, donate_argnums=0)(params)
            window = None
        else:
            state, window = restore_state(checkpoints, abstract, meta)
        done = int(state.step)
        if done and jax.process_index() == 0:
            print(f"{workdir}: continuing from step {done} of {num_steps}", file=sys.stderr)
        teacher_params = create_filled(task.init_teacher, teacher.params, mesh)
        del student, teacher  # the copies on this host
        batches = pretrain_batches(
            dataset,
            config.clip,
            config.mask,
            config.loader,
            grid=task.grid,
            batch_size=budget.batch_size,
            seed=config.seed,
            rows=process_rows(batch_sharding(mesh), budget.batch_size),
            start_step=done,
            num_steps=num_steps,
        )
        with MetricWriter(workdir, active=jax.process_index() == 0, step=done) as writer:
            return loop.run(
                jax.jit(step, donate_argnums=0),
                state,
                teacher_params,
                batches,
                mesh=mesh,
                workdir=workdir,
                num_steps=num_steps,
                batch_size=budget.batch_size,
                config=config.loop,
                checkpoints=checkpoints,
                writer=writer,
                meta={**meta, "sources": sources},
                window=window,
                hooks=[_reconstruction_hook(task, dataset, mesh, writer)],
                names=clip_names(dataset, config.clip),
                flops_per_clip={
                    "mfu": task.student_flops_per_clip + task.teacher_flops_per_clip,
                    "mfu_student": task.student_flops_per_clip,
                },
            )


def _reconstruction_hook(
    task: Pretraining, dataset: Dataset, mesh: Mesh, writer: MetricWriter
) -> loop.Hook:
    """Draws what the student rebuilds of a few clips, always the same ones."""
    config = task.config.figure
    predict = jax.jit(functools.partial(predict_pixels, task), out_shardings=replicated(mesh))

    def draw_figure(step: int, state: TrainState) -> None:
        batch = figure_batch(dataset, task, clips=config.clips, seed=task.config.seed)
        keys = ("video", "visible_ids", "hidden_ids")
        arrays = jax.device_put({key: batch[key] for key in keys}, replicated(mesh))
        predicted = np.asarray(predict(state.params, arrays))
        if writer.active:
            page = draw(
                batch,
                predicted,
                make_caption(dataset, task, batch, step),
                tubelet=task.config.model.tubelet,
                patch=task.config.model.patch,
                statistics=(config.denormalise,),
            )
            writer.image(step, "reconstruction", page)

    return loop.Hook(config.every, draw_figure)
