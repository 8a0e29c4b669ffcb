"""How does gradient descent on augmented clips finetune a task, and choose its best parameters?"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from surgvista_jax.data.batches.division import Division
from surgvista_jax.data.batches.labelled import finetune_batches
from surgvista_jax.data.dataset import Dataset, label_fingerprint
from surgvista_jax.inference.every_clip import Outputs, make_apply, over_dataset
from surgvista_jax.tasks.clip_names import clip_names
from surgvista_jax.tasks.finetuning.task import Finetuning
from surgvista_jax.tasks.selection import Selection, score
from surgvista_jax.training import loop
from surgvista_jax.training.checkpoint import Checkpoints
from surgvista_jax.training.optim import make_optimizer, make_schedule
from surgvista_jax.training.partition import batch_sharding, process_rows
from surgvista_jax.training.resume import restore_state
from surgvista_jax.training.state import (
    TrainState,
    abstract_sharded,
    create_filled,
    initial_state,
)
from surgvista_jax.training.step import make_train_step
from surgvista_jax.training.writers import MetricWriter


def train_on_clips(
    task: Finetuning,
    loaded: Mapping[str, Any],
    division: Division,
    clips: int,
    workdir: Path,
    mesh: Mesh,
    about: dict,
) -> tuple[dict, Outputs | None] | None:
    """Trains, or continues to train, on a mesh that is set; all processes call it.

    Args:
        loaded: parts of the parameters (NumPy); the others start at random.
        clips: labelled ones of training, which make an epoch.
        about: saved with the best parameters; its "init_digest" says what they started from.

    Returns:
        The line of the best evaluation, and what the best parameters say of the test videos; None
        if the run was stopped before its end.
    """
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
        "init": about["init_digest"],
        "seed": config.seed,
        "batch_size": budget.batch_size,
    }
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

    def first_state(trained: dict) -> TrainState:
        return initial_state(trained, optimizer, average=config.ema > 0)

    abstract = abstract_sharded(lambda: first_state(task.init_trained()), mesh)
    with Checkpoints(workdir, config.checkpoint) as checkpoints:
        if checkpoints.latest() is None:
            shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
            first = jax.jit(first_state, out_shardings=shardings, donate_argnums=0)
            state, window = first(create_filled(task.init_trained, loaded, mesh)), None
        else:
            state, window = restore_state(checkpoints, abstract, meta)
        frozen = create_filled(task.init_frozen, loaded, mesh)
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
                hooks=[loop.Hook(every, evaluate, save_before=division.selection is not None)],
                names=clip_names(division.train, task.clip),
                flops_per_clip={"mfu": task.flops_per_clip},
            )
    if finished.step < num_steps or finished.preempted:
        return None
    if division.test is None:
        return selection.best, None
    params = selection.restore(abstract_sharded(task.init_params, mesh))
    return selection.best, predict(params, division.test, "test")
