"""A student as a run saved it: its task, its parameters, and what it says of clips."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from surgvista_jax.config import build
from surgvista_jax.data.batches.masked import describe_clip
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.mixture import read_folders
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.reconstruction import predict_pixels
from surgvista_jax.tasks.pretraining.task import Pretraining, make_pretraining
from surgvista_jax.tasks.pretraining.train import KIND
from surgvista_jax.training.checkpoint_files import (
    FOLDER,
    none_found,
    restore_params,
    saved_steps,
)
from surgvista_jax.training.rundir import read_config
from surgvista_jax.weights.runs import find_run

_OF_BATCH = ("video", "visible_ids", "hidden_ids")


@dataclasses.dataclass(frozen=True)
class SavedStudent:
    """A checkpoint of a pretraining run.

    Attributes:
        run: its folder.
        config: with its teacher, if it had one.
        task: without it, as pixels need none.
    """

    run: Path
    step: int
    config: PretrainConfig
    task: Pretraining

    def dataset(self, folder: Path | None, split: str | None) -> Dataset:
        """A dataset folder, or the run's own, or a split of it."""
        if folder is not None:
            return read_folders(str(folder), split)
        return read_folders(self.config.data.folder, split, self.config.data.root)

    def predict(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """What it says of the hidden patches of a batch: float32 [B, M, P].

        Clip by clip, since a machine that draws may be smaller than one that trains.
        """
        params = jax.device_put(restore_params(self.run, self.step))
        predict = jax.jit(lambda params, clip: predict_pixels(self.task, params, clip))
        clips: list[dict[str, Any]] = [
            {key: batch[key][row : row + 1] for key in _OF_BATCH}
            for row in range(len(batch["video"]))
        ]
        return np.concatenate([np.asarray(predict(params, clip)) for clip in clips])


def saved_student(checkpoint: Path) -> SavedStudent:
    """The student of a run's folder, of its `checkpoints/` or of one checkpoint in there.

    Raises:
        UserError: there is none, or it is a run of another kind.
    """
    run, step = find_checkpoint(checkpoint)
    begun = read_config(run)
    if begun.kind != KIND:
        raise UserError(f"{run}: is a run of {begun.kind}, which rebuilds nothing")
    find_run(run / FOLDER / str(step))  # refuses a configuration of another model
    config = build(PretrainConfig, begun.values, f"{run / 'config.json'}: config")
    # Pixels need no teacher, whose weights may be elsewhere.
    task = make_pretraining(dataclasses.replace(config, teacher=None))
    return SavedStudent(run, step, config, task)


def find_checkpoint(folder: Path) -> tuple[Path, int]:
    """The run's folder and the step that a run's folder, its checkpoints/ or one of them means."""
    given = Path(os.path.abspath(folder))  # resolves "." and "..", but not links
    if given.parent.name == FOLDER and given.name.isdecimal():
        run, step = given.parent.parent, int(given.name)
    else:
        run, step = (given.parent if given.name == FOLDER else given), None
    steps = saved_steps(run / FOLDER)
    if not steps or (step is not None and step not in steps):
        raise none_found(given if step is None else given.parent, step, steps)
    return run, steps[-1] if step is None else step


def check_readable(dataset: Dataset, batch: Mapping[str, np.ndarray]) -> str:
    """What is to be warned of frames that could not be read; "" where all could.

    Raises:
        UserError: none of a clip's frames could.
    """
    unreadable = batch["unreadable"]
    for index in batch["index"][unreadable.all(1)]:
        video, last = describe_clip(dataset, int(index))
        raise UserError(
            f"{dataset.folder}: no frame of the clip that ends at frame {last} of {video} can"
            " be read"
        )
    if not unreadable.any():
        return ""
    return (
        f"WARNING: {int(unreadable.sum())} of {unreadable.size} frames could not be read;"
        " others stand in for them"
    )
