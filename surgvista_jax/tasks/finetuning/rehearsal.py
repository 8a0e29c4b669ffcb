"""A finetuning task without its data, for what asks only how large it is and how fast."""

import dataclasses

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.facts.triplets import TABLES
from surgvista_jax.inference.starting_point import RANDOM
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.labels import Labels
from surgvista_jax.tasks.finetuning.start import starting_point
from surgvista_jax.tasks.finetuning.task import Finetuning


def rehearse(config: FinetuneConfig, classes: int) -> Finetuning:
    """The task of a configuration on so many classes; without `init` its backbone is random.

    Raises:
        UserError: the configuration trains no step, or its parts do not fit together.
    """
    if config.mode == "linear":
        raise UserError("config.mode='linear': a probe of kept features has no step on clips")
    start = starting_point(dataclasses.replace(config, init=config.init or RANDOM))
    table, kind = config.head.components, "single"
    if table:
        if table not in TABLES:
            raise UserError(
                f"config.head.components={table!r}: should be one of {', '.join(TABLES)}"
            )
        classes, kind = len(TABLES[table].rows), "multi"
    labels = Labels(tuple(map(str, range(classes))), kind, components=table)
    return Finetuning(config, start.model, start.clip, labels)


def random_batch(task: Finetuning, rng: np.random.Generator, clips: int) -> dict[str, np.ndarray]:
    """Noise in the shapes of the task's batches, with labels."""
    shapes = task.batch_shapes(clips)
    video, label = shapes["video"], shapes["label"]
    single = task.labels.kind == "single"
    drawn = rng.integers(0, len(task.labels.classes) if single else 2, label.shape)
    return {
        "video": rng.integers(0, 256, video.shape, np.uint8),
        "label": drawn.astype(label.dtype),
    }
