"""Finetuning by gradient descent on augmented clips, and the choice of the best parameters."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.data.batches.division import Division
from surgvista_jax.data.batches.labelled import finetune_batches
from surgvista_jax.data.batches.loader import BatchLoader
from surgvista_jax.data.batches.share import Share
from surgvista_jax.data.dataset import Dataset, label_fingerprint
from surgvista_jax.inference.computed import of_compute, of_data, of_encoder, sentences
from surgvista_jax.inference.every_clip import EveryClip, Outputs
from surgvista_jax.tasks.clip_names import clip_names
from surgvista_jax.tasks.evaluation import Chooser
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.task import Finetuning
from surgvista_jax.training import goodput
from surgvista_jax.training.optim import adamw
from surgvista_jax.training.run import Data, Loaded, TrainConfig, train
from surgvista_jax.training.state import abstract_sharded
from surgvista_jax.training.watchdog import watched
from surgvista_jax.training.xla_options import options_for


def train_on_clips(
    task: Finetuning,
    loaded: Loaded,
    division: Division,
    clips: int,
    workdir: Path,
    mesh: Mesh,
    about: dict,
) -> tuple[dict, Outputs | None] | None:
    """Trains, or continues to train, on a mesh that is set; all processes call it.

    Args:
        loaded: parts of the parameters; the others start at random.
        clips: labelled ones of training, which make an epoch.
        about: saved with the best parameters; its "init_digest" says what they started from.

    Returns:
        The line of the best evaluation, and what the best parameters say of the test videos; None
        if the run was stopped before its end.
    """
    config, budget = task.config, task.config.budget
    whole = jax.jit(task.whole)
    predict = EveryClip(
        task.classifier.predict,
        task.clip,
        config.loader,
        mesh,
        config.evaluation.batch_size,
        config.loop.unreadable,
        config.compute.xla,
    )
    selection = division.selection
    chooser = Chooser(
        config.evaluation.score,
        curve=f"{config.select_on}_{config.evaluation.score}",
        selected_on=division.selected_on,
        predict=None
        if selection is None
        else partial(predict, dataset=selection, title="validation"),
        parameters=lambda state, frozen: whole(state.evaluated, frozen),
        about=about,
    )
    every = max(1, round(config.evaluation.every_epochs * budget.steps_per_epoch(clips)))
    finished = train(
        task,
        _data(task, division.train, clips),
        settings_of(config),
        workdir,
        mesh=mesh,
        loaded=loaded,
        meta={
            "data": label_fingerprint(division.train),
            "selection": selection and label_fingerprint(selection),
            "init": about["init_digest"],
            "seed": config.seed,
            "batch_size": budget.batch_size,
            "computed": sentences(
                (
                    *of_encoder("backbone", task.model.encoder),
                    *of_compute(config.compute),
                    *of_data(division.train),
                )
            ),
        },
        hooks=lambda run: [chooser.hook(run, every)],
    )
    if finished.preempted or finished.step < budget.num_steps(clips):
        return None
    if division.test is None:
        return chooser.best, None
    with (
        watched(config.loop, workdir, finished.step, "evaluating the test videos"),
        goodput.current().on("evaluate"),
    ):
        params = chooser.restore(abstract_sharded(task.init_params, mesh))
        return chooser.best, predict(params, division.test, title="test")


def settings_of(config: FinetuneConfig) -> TrainConfig:
    """How a configuration trains on clips."""
    return TrainConfig(
        config.budget,
        adamw(config.optim, config.budget.batch_size),
        config.checkpoint,
        config.loop,
        config.seed,
        average=config.ema,
        options=options_for("finetuning", config.compute.xla),
        program="finetuning",
    )


def _data(task: Finetuning, dataset: Dataset, clips: int) -> Data:
    """The labelled clips of a dataset, augmented."""
    config = task.config

    def batches(rows: np.ndarray, start_step: int, num_steps: int) -> BatchLoader:
        return finetune_batches(
            dataset,
            task.clip,
            config.augment,
            config.loader,
            Share(config.budget.batch_size, rows, start_step, num_steps),
            seed=config.seed,
            balanced=config.data.balanced,
        )

    return Data(
        clips,
        batches,
        clip_names(dataset, task.clip),
        task.batch_shapes,
        videos=len(dataset.videos),
    )
