"""The temporal task: an MS-TCN over the features of a whole video, its loss, what it predicts."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surgvista_jax.data.batches.sequences import VideoSequence
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.inference.frame_probabilities import FrameProbabilities
from surgvista_jax.models.mstcn import MsTcn
from surgvista_jax.tasks.temporal.config import TemporalConfig
from surgvista_jax.tasks.temporal.losses import (
    UNLABELLED,
    median_frequency_weights,
    temporal_loss,
)
from surgvista_jax.training import standstill


class TemporalTask:
    """The model of a configuration, and what is computed with it. A batch is one video.

    Args:
        train: the videos of training; their labels weigh the classes.
        num_classes: C.
        width: F, of the features.
    """

    def __init__(
        self, config: TemporalConfig, train: Sequence[VideoSequence], num_classes: int, width: int
    ):
        self._config, self._width = config, width
        self._model = MsTcn(config.model, num_classes)
        self._probabilities = FrameProbabilities(config.model, num_classes, config.pad_to)
        self._init_key, self._dropout_key = jax.random.split(jax.random.key(config.seed))
        self._class_weights = None
        if config.class_weights == "median_frequency":
            labels = np.concatenate([sequence.labels for sequence in train])
            self._class_weights = median_frequency_weights(labels, num_classes)

    def init_trained(self) -> Any:
        """Random parameters; every device holds them all."""
        shape = (1, self._config.pad_to)
        features, mask = jnp.zeros((*shape, self._width)), jnp.ones(shape, bool)
        return self._model.init(self._init_key, features, mask, False)["params"]

    def init_frozen(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def loss(
        self, params: Any, frozen: Any, batch: dict, key: jax.Array, average: Any = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss of all stages on one video of L frames.

        Args:
            batch: `features` float32 [1, L, F], `mask` bool [1, L], `labels` int32 [1, L], and
                `step` int32 [1], which dropout is drawn by.
            key: not looked at: dropout has a key of its own, as runs had that go on today.
        """
        key = jax.random.fold_in(self._dropout_key, batch["step"][0])
        logits: Any = self._model.apply(
            {"params": params}, batch["features"], batch["mask"], True, rngs={"dropout": key}
        )
        weight = self._config.smoothing_weight
        return temporal_loss(logits, batch["labels"], self._class_weights, weight), {}

    @property
    def flops_per_clip(self) -> dict[str, float]:
        """Not counted: the products are small."""
        return {}

    @property
    def sharded_dims(self) -> dict[str, dict[str, int]]:
        """Nothing is shared out."""
        return {}

    def predict(self, params: Any, sequences: Sequence[VideoSequence]) -> Outputs:
        """Probabilities of the last stage at every labelled frame of the sequences."""
        columns: dict[str, list] = {"video_index": [], "frame": [], "label": [], "values": []}
        for number, sequence in enumerate(sequences):
            values = self._probabilities(params, sequence.features)
            frame = np.flatnonzero(sequence.labels != UNLABELLED).astype(np.int32)
            columns["video_index"].append(np.full(len(frame), number, np.int32))
            columns["frame"].append(frame)
            columns["label"].append(sequence.labels[frame])
            columns["values"].append(values[frame])
            standstill.evaluated(number + 1)  # a video is a batch
        joined = {name: np.concatenate(parts) for name, parts in columns.items()}
        return Outputs(**joined, unreadable=None)
