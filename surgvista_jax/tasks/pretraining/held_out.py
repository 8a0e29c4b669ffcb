"""The pixel loss of pretrained students on clips and masks that are the same for all of them."""

from pathlib import Path
from typing import NamedTuple

import jax
import ml_collections

from surgvista_jax.config import build
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.losses import pixel_loss, pixel_targets
from surgvista_jax.tasks.pretraining.reconstruction import figure_batch
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.determinism import asked_in, make_deterministic
from surgvista_jax.training.devices import start_devices


class Job(NamedTuple):
    """What losses are asked of.

    Attributes:
        config: what the configurations of the runs have in common: model, clip and mask.
        runs: their folders.
        videos: those that the clips are of.
        clips: how many.
    """

    config: ml_collections.ConfigDict
    runs: list[Path]
    videos: Dataset
    clips: int


def held_out_losses(job: Job) -> list[float]:
    """Pixel losses of the students, in order, by one program and on one batch."""
    task = make_pretraining(build(PretrainConfig, job.config))
    batch = figure_batch(job.videos, task, clips=job.clips, seed=0)
    arrays = {key: batch[key] for key in ("video", "visible_ids", "hidden_ids")}

    def loss(params: dict, batch: dict) -> jax.Array:
        hidden, predictions = task.predict(params, batch)
        return pixel_loss(predictions.pixels, pixel_targets(hidden, task.config.objective.pixels))

    compiled = jax.jit(loss)
    return [float(compiled(restore_params(run), arrays)) for run in job.runs]


def in_a_process(job: Job) -> tuple[list[float], str]:
    """The losses, and the kind of device that computed them, in a process that has started none.

    Raises:
        UserError: the devices do not start, or the run's parameters cannot be read.
    """
    make_deterministic(asked_in(job.config))
    start_devices()
    keep_compiled()
    return held_out_losses(job), jax.devices()[0].device_kind
