"""The finetuning program: a labelled dataset and a backbone in, a classifier and predictions out.

`surgvista finetune --config=FILE.py --workdir=DIR [--config.a.b=VALUE …]`
"""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import flax.linen as nn
import jax
import ml_collections
from jax.sharding import Mesh

from surgvista_jax.config import build, load_config
from surgvista_jax.data.division import Division, divide
from surgvista_jax.data.labelled import finetune_batches
from surgvista_jax.data.manifest import Dataset, label_fingerprint, read_dataset
from surgvista_jax.data.pipeline import describe_clip
from surgvista_jax.data.samples import labelled_samples
from surgvista_jax.errors import UserError
from surgvista_jax.finetuning import Finetuning, make_finetuning
from surgvista_jax.finetuning_config import FinetuneConfig
from surgvista_jax.inference import Outputs, make_apply, over_dataset
from surgvista_jax.outcome import check_protocol, description, report_seeds, write_outcome
from surgvista_jax.probe import train_probe
from surgvista_jax.selection import Selection, check_score, score
from surgvista_jax.starting_point import StartingPoint, starting_point
from surgvista_jax.temporal import TemporalConfig, train_temporal
from surgvista_jax.training import loop, processes
from surgvista_jax.training.checkpoint import Checkpoints
from surgvista_jax.training.optim import make_optimizer, make_schedule
from surgvista_jax.training.partition import (
    RULES,
    batch_sharding,
    check_divisible,
    make_mesh,
    process_rows,
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

# What changes how a run is computed, watched or reported, but not its result.
FREE_KEYS = (
    *("loader", "mesh", "checkpoint", "loop", "compute.unroll", "compute.remat", "data.folder"),
    *("evaluation.batch_size", "evaluation.protocol"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", required=True, metavar="FILE.py[:ARGUMENT]", help="a file with get_config"
    )
    parser.add_argument(
        "--workdir", required=True, type=Path, help="the run's folder; a run there is continued"
    )
    processes.add_arguments(parser)
    parser.epilog = (
        "--config.a.b=VALUE replaces a value of the configuration, such as --config.init=WEIGHTS,"
        " --config.data.folder=DATASET, --config.mode=full|linear|attentive|lora, --config.seeds=3"
    )


def main(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, config_class, arguments.overrides)
    processes.join(arguments)
    if config_class(config) is TemporalConfig:
        finished = not train_temporal(config, arguments.workdir).preempted
    else:
        checked = build(FinetuneConfig, config)
        run = finetune_seeds if checked.seeds > 1 else finetune
        finished = run(config, arguments.workdir) or bool(checked.loop.stop_after)
    # Cut short is no success, though nothing is lost: the shell's number for SIGTERM.
    return 0 if finished else 128 + signal.SIGTERM


def config_class(values: Mapping) -> type:
    """The dataclass of a configuration for this program: a temporal head has one of its own."""
    return TemporalConfig if values.get("mode") == "temporal" else FinetuneConfig


def finetune_seeds(config_dict: ml_collections.ConfigDict, workdir: Path) -> bool:
    """Finetunes once a seed, in `workdir/seed<n>`, and reports; returns whether all ended."""
    config = build(FinetuneConfig, config_dict)
    folders = []
    for seed in range(config.seed, config.seed + config.seeds):
        single = ml_collections.ConfigDict(config_dict)
        with single.unlocked():
            single.seed, single.seeds = seed, 1
        folders.append(workdir / f"seed{seed}")
        if jax.process_index() == 0:
            print(f"seed {seed} -> {folders[-1]}", file=sys.stderr)
        if not finetune(single, folders[-1]):
            return False
    if jax.process_index() == 0:
        print(report_seeds(folders, workdir, config.evaluation.protocol))
    return True


def finetune(config_dict: ml_collections.ConfigDict, workdir: Path) -> bool:
    """Runs, or continues, the finetuning of a configuration in a run folder.

    Returns:
        Whether the run came to its end; False if it was stopped before.

    Raises:
        UserError: whatever of the configuration, the data, the weights, the folder or the machine
            does not fit.
    """
    config = build(FinetuneConfig, config_dict)
    data = config.data
    if not data.folder:
        raise UserError("config.data.folder is empty: say --config.data.folder=DATASET")
    division = divide(
        read_dataset(data.folder),
        train=data.train,
        val=data.val,
        test=data.test,
        select_on=config.select_on,
        hold_out=data.hold_out,
    )
    train = division.train
    check_score(config.evaluation.score, train.label_kind, len(train.classes))
    check_protocol(config.evaluation.protocol, train)  # not only after hours of training
    start = starting_point(config)
    samples = labelled_samples(division.train, start.clip)
    for part in filter(None, (division.selection, division.test)):
        labelled_samples(part, start.clip)  # what it raises is not raised after hours of training
    task = make_finetuning(config, start.model, start.clip, division.train, samples.label)
    mesh = make_mesh(config.mesh)
    budget = config.budget
    check_divisible(
        mesh, batch_size=budget.batch_size, accumulate=budget.accumulate, dims=task.sharded_dims
    )
    check_divisible(mesh, batch_size=config.evaluation.batch_size, accumulate=1, dims={})
    claim(workdir, config_dict, FREE_KEYS)
    about = description(task, division, start.origin)
    if jax.process_index() == 0:
        print(division.summary(), file=sys.stderr)

    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        apply = make_apply(task.predict, mesh)

        def predict(params: dict, dataset: Dataset, title: str) -> Outputs:
            return over_dataset(
                apply,
                params,
                dataset,
                task.clip,
                config.loader,
                mesh=mesh,
                batch_size=config.evaluation.batch_size,
                title=title,
            )

        if config.mode == "linear":
            trained, frozen = first_parts(task, start, mesh)
            selection = train_probe(task, frozen | trained, division, workdir, mesh, about)
        else:
            selection = _train(task, start, division, len(samples), predict, workdir, mesh, about)
        if selection is None:
            return False
        outputs = None
        if division.test is not None:
            params = selection.restore(abstract_sharded(task.init_params, mesh))
            outputs = predict(params, division.test, "test")
        write_outcome(workdir, task, division, selection.best, outputs, about)
    return True


def _train(
    task: Finetuning,
    start: StartingPoint,
    division: Division,
    clips: int,
    predict: Callable[[dict, Dataset, str], Outputs],
    workdir: Path,
    mesh: Mesh,
    about: dict,
) -> Selection | None:
    """Trains by gradient steps on clips; None if the run was stopped before its end."""
    config, budget = task.config, task.config.budget
    steps_per_epoch = max(clips // budget.batch_size, 1)
    num_steps = budget.steps or max(round(budget.epochs * steps_per_epoch), 1)
    optimizer = make_optimizer(config.optim)
    step = make_train_step(
        task.loss,
        optimizer,
        make_schedule(config.optim, budget.batch_size, steps_per_epoch, num_steps),
        accumulate=budget.accumulate,
        seed=config.seed,
        average=config.ema,
    )
    meta = {
        "data": label_fingerprint(division.train),
        "selection": division.selection and label_fingerprint(division.selection),
        "init": start.origin,
        "seed": config.seed,
        "batch_size": budget.batch_size,
    }
    trained, frozen = first_parts(task, start, mesh)

    def first_state(trained: dict) -> TrainState:
        return initial_state(trained, optimizer, average=config.ema > 0)

    abstract = abstract_sharded(lambda: first_state(task.init_trained()), mesh)
    with Checkpoints(workdir, config.checkpoint) as checkpoints:
        if checkpoints.latest() is None:
            shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
            state, window = jax.jit(first_state, out_shardings=shardings)(trained), None
            del trained  # the state has a copy
        else:
            state, window = restore_state(checkpoints, abstract, meta)
        done = int(state.step)
        if done and jax.process_index() == 0:
            print(f"{workdir}: continuing from step {done} of {num_steps}", file=sys.stderr)
        selection = Selection(workdir, done)
        whole = jax.jit(task.whole)
        with MetricWriter(workdir, active=jax.process_index() == 0, step=done) as writer:

            def evaluate(step: int, state: TrainState) -> None:
                if selection.has(step):
                    return
                averaged = state.opt_state.average if config.ema else state.params
                params = whole(averaged, frozen)
                # Several processes cannot write two checkpoints at a time: Orbax mixes them up.
                checkpoints.wait()
                if division.selection is None:
                    selection.add(step, float("nan"), params, about)
                    return
                outputs = predict(params, division.selection, "validation")
                value = score(config.evaluation.score, outputs)
                better = selection.add(step, value, params, about)
                writer.curve(step, {f"{config.select_on}_{config.evaluation.score}": value})
                if jax.process_index() == 0:
                    best = ", the best so far" if better else ""
                    said = f"{config.evaluation.score} {value:.4f} on {len(outputs.frame)} clips"
                    print(f"step {step}: {said}, {division.selected_on}{best}", file=sys.stderr)

            every = max(1, round(config.evaluation.every_epochs * steps_per_epoch))
            if division.selection is None:
                every = num_steps
            if done and (done % every == 0 or done == num_steps):
                evaluate(done, state)  # a run that was cut off here may lack it
            finished = loop.run(
                jax.jit(step, donate_argnums=0),
                state,
                frozen,
                finetune_batches(
                    division.train,
                    task.clip,
                    config.augment,
                    config.loader,
                    batch_size=budget.batch_size,
                    seed=config.seed,
                    rows=process_rows(batch_sharding(mesh), budget.batch_size),
                    start_step=done,
                    num_steps=num_steps,
                    balanced=config.data.balanced,
                ),
                mesh=mesh,
                workdir=workdir,
                num_steps=num_steps,
                batch_size=budget.batch_size,
                config=config.loop,
                checkpoints=checkpoints,
                writer=writer,
                meta=meta,
                window=window,
                hooks=[loop.Hook(every, evaluate)],
                names=loop.Names(
                    clip=lambda index: "{} up to frame {}".format(
                        *describe_clip(division.train, index)
                    )
                ),
                flops_per_clip={"mfu": task.flops_per_clip},
            )
    return selection if finished.step == num_steps and not finished.preempted else None


def first_parts(task: Finetuning, start: StartingPoint, mesh: Mesh) -> tuple[dict, dict]:
    """What is trained and what is frozen before training: loaded, and the rest random."""
    loaded = start.variables or {}
    return (
        create_filled(task.init_trained, loaded, mesh),
        create_filled(task.init_frozen, loaded, mesh),
    )
