"""The temporal program: features of whole videos in, an MS-TCN and its predictions out.

`surgvista finetune --config=configs/finetune/mstcn.py --workdir=DIR --config.data.folder=DATASET
--config.data.features=FEATURES`, the latter as `surgvista features` wrote it of that dataset.
"""

import contextlib
import dataclasses
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from surgvista_jax.config import build
from surgvista_jax.data.batches.division import divide
from surgvista_jax.data.batches.sequences import read_sequences
from surgvista_jax.data.dataset import label_fingerprint
from surgvista_jax.data.storage.feature_folder import open_features
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.outcome import check_protocol, description, write_outcome
from surgvista_jax.tasks.selection import Selection, check_score, score
from surgvista_jax.tasks.temporal.task import TemporalConfig, TemporalTask
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints
from surgvista_jax.training.preemption import Preemption
from surgvista_jax.training.progress import Progress
from surgvista_jax.training.resume import restore_state
from surgvista_jax.training.rundir import claim
from surgvista_jax.training.state import TrainState
from surgvista_jax.training.writers import MetricWriter
from surgvista_jax.weights.provenance import as_json, of_dataset

# What a continued run may differ in: the folders may have moved, the watching does not matter.
FREE_KEYS = ("data.folder", "data.features", "evaluation.protocol", "progress")


def train_temporal(config_dict: ml_collections.ConfigDict, workdir: Path) -> bool:
    """Trains, or continues to train, an MS-TCN; the best epoch's parameters predict the test split.

    The run folder gets what finetuning leaves in its own.

    Returns:
        Whether the run came to its end; False if it was told to stop before.

    Raises:
        UserError: whatever of the configuration, the data, the folder or the machine does not fit.
    """
    config = build(TemporalConfig, config_dict)
    if jax.process_count() > 1:
        raise UserError("config.mode=temporal: one device does it in minutes; start one process")
    for key in ("folder", "features"):
        if not getattr(config.data, key):
            raise UserError(f"config.data.{key} is empty: say --config.data.{key}=FOLDER")
    dataset = read_dataset(config.data.folder)
    features = open_features(config.data.features)
    division = divide(
        dataset,
        train=config.data.train,
        val=config.data.val,
        test=config.data.test,
        select_on=config.select_on,
        hold_out=config.data.hold_out,
    )
    train, selection, test = (
        None if part is None else read_sequences(features, part)
        for part in (division.train, division.selection, division.test)
    )
    name = config.evaluation.score
    check_score(name, dataset.label_kind, len(dataset.classes))
    check_protocol(config.evaluation.protocol, dataset)
    claim(workdir, config_dict, FREE_KEYS)
    print(division.summary(), file=sys.stderr)
    header = dataclasses.asdict(features.header)
    about = description(
        config,
        division.train,
        name=f"MS-TCN on {features.header.model}",
        model=dataclasses.asdict(config.model),
        features=header,
        sources=as_json([of_dataset(division.train)]),
    )
    meta = {
        "data": label_fingerprint(division.train),
        "selection": division.selection and label_fingerprint(division.selection),
        "features": header,
        "seed": config.seed,
    }
    task = TemporalTask(config, train, len(dataset.classes), features.header.width)
    num_steps = config.epochs * len(train)

    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(
            Checkpoints(workdir, CheckpointConfig(save_every=len(train), max_to_keep=2))
        )
        state = TrainState(jnp.int32(0), *task.first_state())
        if checkpoints.latest() is not None:
            state, _ = restore_state(checkpoints, state, meta)
        done, params, opt_state = int(state.step), state.params, state.opt_state
        best = Selection(workdir, done)
        writer = stack.enter_context(MetricWriter(workdir, active=True, step=done))
        preemption = stack.enter_context(Preemption())
        progress = stack.enter_context(Progress(config.progress, done, num_steps, active=True))
        if done:
            progress.say(f"{workdir}: continuing from step {done} of {num_steps}")
        while done < num_steps and not preemption.reached(done):
            epoch, losses = done // len(train), []
            for which in np.random.default_rng([config.seed, epoch]).permutation(len(train)):
                params, opt_state, loss = task.update(params, opt_state, int(which), done)
                losses.append(loss)
                done += 1
                progress.step()
            line = {"epoch": epoch + 1, "loss": float(np.mean(jax.device_get(losses)))}
            if not np.isfinite(line["loss"]):
                raise UserError(
                    f"config.learning_rate={config.learning_rate:g}: the loss of epoch {epoch + 1} "
                    f"is not finite; take a smaller one ({workdir} keeps the epochs before)"
                )
            value = float("nan")
            if selection is not None:
                value = line[f"selection_{name}"] = score(name, task.predict(params, selection))
            writer.scalars(done, line)
            progress.line(done, line)
            # `best` keeps what was best up to the newest checkpoint, which must be whole by now.
            checkpoints.wait()
            if selection is not None or done == num_steps:
                best.add(done, value, params, about)
            checkpoints.save(done, params, opt_state, meta)
        checkpoints.wait()
        if done < num_steps:
            progress.say(f"told to stop: stopped after step {done}, which is saved")
            return False
    outputs = None if test is None else task.predict(best.restore(params), test)
    write_outcome(workdir, config, division, best.best, outputs, about)
    return True
