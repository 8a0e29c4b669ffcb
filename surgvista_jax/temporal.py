"""The temporal program: features of whole videos in, an MS-TCN and its predictions out.

`surgvista finetune --config=configs/finetune/mstcn.py --workdir=DIR --config.data.folder=DATASET
--config.data.features=FEATURES`, the latter as `surgvista features` wrote it of that dataset.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from surgvista_jax.config import build
from surgvista_jax.data.division import Division, divide
from surgvista_jax.data.feature_folder import FeaturesHeader, open_features
from surgvista_jax.data.manifest import fingerprint, read_dataset
from surgvista_jax.data.sequences import VideoSequence, read_sequences
from surgvista_jax.errors import UserError
from surgvista_jax.inference import Outputs
from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.selection import Selection, score
from surgvista_jax.temporal_task import TemporalConfig, TemporalTask
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints
from surgvista_jax.training.preemption import Preemption
from surgvista_jax.training.progress import Progress
from surgvista_jax.training.rundir import claim
from surgvista_jax.training.writers import MetricWriter

PREDICTIONS_FILE = "predictions.npz"
# What a continued run may differ in: the folders may have moved, the watching does not matter.
FREE_KEYS = ("data.folder", "data.features", "progress")


class TemporalFinished(NamedTuple):
    """How a run ended: videos trained on, the chosen epoch (from 1), whether it was told to stop.

    Only a run that was not told to stop has a `best_epoch` and its predictions.
    """

    step: int
    best_epoch: int | None
    preempted: bool


def train_temporal(config_dict: ml_collections.ConfigDict, workdir: Path) -> TemporalFinished:
    """Trains, or continues to train, an MS-TCN; the best epoch's parameters predict the test split.

    The run folder gets, beside its configuration, metrics and checkpoints, the best parameters in
    `best` and `predictions.npz`, with the labelled frames of the test videos.

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
    train = read_sequences(features, division.train)
    selection = read_sequences(features, division.selection)
    test = () if division.test is None else read_sequences(features, division.test)
    claim(workdir, config_dict, FREE_KEYS)
    task = TemporalTask(config, train, len(dataset.classes), features.header.width)
    meta = {"data": _digest(division, features.header), "seed": config.seed}
    about = _description(config, division, features.header)
    num_steps = config.epochs * len(train)

    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(
            Checkpoints(workdir, CheckpointConfig(save_every=len(train), max_to_keep=2))
        )
        params, opt_state = task.first_state()
        done = 0
        if checkpoints.latest() is not None:
            done, params, opt_state, saved = checkpoints.restore(params, opt_state)
            _check_meta(checkpoints.folder, done, saved, meta)
        best = Selection(workdir, done)
        writer = stack.enter_context(MetricWriter(workdir, active=True, step=done))
        preemption = stack.enter_context(Preemption())
        progress = stack.enter_context(Progress(config.progress, done, num_steps, active=True))
        if done:
            progress.say(f"{workdir}: continuing from step {done} of {num_steps}")
        progress.say(division.summary())
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
            line["selection_accuracy"] = score("accuracy", task.predict(params, selection))
            writer.scalars(done, line)
            progress.line(done, line)
            # `best` keeps what was best up to the newest checkpoint, which must be whole by now.
            checkpoints.wait()
            best.add(done, line["selection_accuracy"], params, about)
            checkpoints.save(done, params, opt_state, meta)
        checkpoints.wait()
        if done < num_steps:
            progress.say(f"told to stop: stopped after step {done}, which is saved")
            return TemporalFinished(done, None, True)
        epoch = best.best["step"] // len(train)
        said = f"accuracy {best.best['score']:.4f} on {division.selected_on}, at epoch {epoch}"
        if test:
            outputs = task.predict(best.restore(params), test)
            path = workdir / PREDICTIONS_FILE
            _write(path, outputs, test, about | {"split": config.data.test, "epoch": epoch})
            accuracy = score("accuracy", outputs)
            said += f"; test accuracy {accuracy:.4f} on {len(outputs.frame)} frames -> {path}"
        progress.say(said)
        return TemporalFinished(done, epoch, False)


def _description(config: TemporalConfig, division: Division, header: FeaturesHeader) -> dict:
    """What the model is, as JSON values: it is saved with its parameters and its predictions."""
    dataset = division.train
    return {
        "task": dataset.task,
        "classes": list(dataset.classes),
        "fps": dataset.fps,
        "dataset": dataset.name,
        "mode": config.mode,
        "model": f"MS-TCN on {header.model}",
        "sizes": dataclasses.asdict(config.model),
        "features": dataclasses.asdict(header),
        "seed": config.seed,
        "selected_on": division.selected_on,
    }


def _digest(division: Division, header: FeaturesHeader) -> str:
    """What a run must not be continued without: the same videos and the same features."""
    parts = [fingerprint(division.train), fingerprint(division.selection)]
    text = json.dumps([*parts, dataclasses.asdict(header)])
    return hashlib.sha256(text.encode()).hexdigest()


def _check_meta(folder: Path, step: int, saved: dict, meta: dict) -> None:
    for key, value in meta.items():
        if saved[key] != value:
            raise UserError(
                f"{folder}: the checkpoint of step {step} was trained with another {key} "
                f"({saved[key]}, now {value}); take another --workdir"
            )


def _write(path: Path, outputs: Outputs, sequences: Sequence[VideoSequence], about: dict) -> None:
    names = np.array([sequence.video for sequence in sequences])
    try:
        write_npz(
            path,
            video=names[outputs.video_index],
            frame=outputs.frame,
            score=outputs.values,
            label=outputs.label,
            meta=about,
        )
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
