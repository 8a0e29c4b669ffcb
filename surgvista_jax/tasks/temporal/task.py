"""The temporal task: its configuration, its model, its loss and what it predicts."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax

from surgvista_jax.data.batches.division import SELECT_ON
from surgvista_jax.data.batches.sequences import VideoSequence, pad_sequence
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.models.mstcn import MsTcn, MsTcnConfig
from surgvista_jax.tasks.finetuning.config import ScoringConfig
from surgvista_jax.tasks.temporal.losses import UNLABELLED, median_frequency_weights, temporal_loss
from surgvista_jax.training.progress import MODES

CLASS_WEIGHTS = ("none", "median_frequency")


@dataclasses.dataclass(frozen=True)
class TemporalDataConfig:
    """What is trained on.

    Attributes:
        folder: a dataset folder with one label a frame.
        features: a features folder of that dataset.
        train, val, test: names of its splits; without a split `val`, videos are held out; an empty
            `test` asks for no predictions.
        hold_out: the share of the training videos (whole patients) that is then held out.
    """

    folder: str
    features: str
    train: str = "train"
    val: str = "val"
    test: str = "test"
    hold_out: float = 0.2


@dataclasses.dataclass(frozen=True)
class TemporalConfig:
    """The whole configuration of a temporal run. A step is one video.

    Attributes:
        mode: "temporal".
        epochs: passes over the training videos.
        learning_rate: of Adam.
        class_weights: "median_frequency", or "none".
        smoothing_weight: of the truncated mean squared error beside the cross entropy.
        evaluation: after each epoch on the videos of selection, at the end on the test videos.
        select_on: as in finetuning: "val"; "last" to train on all training videos and keep the last
            epoch; or "test" for comparison with results that were chosen so: the report says so.
        pad_to: lengths are rounded up to its multiples, each of which is compiled once.
        seed: of the parameters, the order of the videos and dropout.
        seeds: runs, with the seeds seed, seed + 1, …, each in a folder of its own.
        progress: "auto" (a bar on a terminal, else lines), "bar", "lines" or "none".
    """

    data: TemporalDataConfig
    model: MsTcnConfig
    evaluation: ScoringConfig = ScoringConfig()
    mode: str = "temporal"
    epochs: int = 50
    learning_rate: float = 7e-5
    class_weights: str = "none"
    smoothing_weight: float = 0.15
    select_on: str = "val"
    pad_to: int = 512
    seed: int = 0
    seeds: int = 1
    progress: str = "auto"

    def __post_init__(self):
        for key, choices in (
            ("mode", ("temporal",)),
            ("class_weights", CLASS_WEIGHTS),
            ("select_on", SELECT_ON),
            ("progress", MODES),
        ):
            if getattr(self, key) not in choices:
                raise ValueError(
                    f"{key}={getattr(self, key)!r}: should be one of {', '.join(choices)}"
                )
        if min(self.epochs, self.pad_to, self.seeds) < 1 or self.seed < 0:
            raise ValueError("epochs, pad_to and seeds must be at least 1, seed at least 0")
        if not self.learning_rate > 0 or self.smoothing_weight < 0:
            raise ValueError("learning_rate must be above 0 and smoothing_weight at least 0")


class TemporalTask:
    """The model of a configuration, its loss, and what is compiled of them."""

    def __init__(
        self, config: TemporalConfig, train: Sequence[VideoSequence], num_classes: int, width: int
    ):
        self._config, self._train, self._width = config, train, width
        self._model = MsTcn(config.model, num_classes)
        self._optimizer = optax.adam(config.learning_rate)
        self._init_key, self._dropout_key = jax.random.split(jax.random.key(config.seed))
        weights = None
        if config.class_weights == "median_frequency":
            labels = np.concatenate([sequence.labels for sequence in train])
            weights = median_frequency_weights(labels, num_classes)

        def loss(params: Any, batch: dict, key: jax.Array) -> jax.Array:
            logits = self._model.apply(
                {"params": params}, batch["features"], batch["mask"], True, rngs={"dropout": key}
            )
            return temporal_loss(logits, batch["labels"], weights, config.smoothing_weight)

        def update(params: Any, opt_state: Any, batch: dict, step: jax.Array) -> tuple:
            key = jax.random.fold_in(self._dropout_key, step)
            value, grads = jax.value_and_grad(loss)(params, batch, key)
            changes, opt_state = self._optimizer.update(grads, opt_state, params)
            return optax.apply_updates(params, changes), opt_state, value

        def probabilities(params: Any, batch: dict) -> jax.Array:
            logits = self._model.apply({"params": params}, batch["features"], batch["mask"], False)
            return jax.nn.softmax(logits[-1])

        self._update, self._probabilities = jax.jit(update), jax.jit(probabilities)

    def first_state(self) -> tuple[Any, Any]:
        """Random parameters and the optimiser's state."""
        shape = (1, self._config.pad_to)
        features, mask = np.zeros((*shape, self._width), np.float32), np.ones(shape, bool)
        init = jax.jit(self._model.init, static_argnums=3)
        params = init(self._init_key, features, mask, False)["params"]
        return params, self._optimizer.init(params)

    def update(self, params: Any, opt_state: Any, which: int, step: int) -> tuple[Any, Any, Any]:
        """One step on a training video: parameters, optimiser's state, loss."""
        batch = pad_sequence(self._train[which], self._config.pad_to)
        return self._update(params, opt_state, batch, np.int32(step))

    def predict(self, params: Any, sequences: Sequence[VideoSequence]) -> Outputs:
        """Probabilities of the last stage at every labelled frame of the sequences."""
        columns: dict[str, list] = {"video_index": [], "frame": [], "label": [], "values": []}
        for number, sequence in enumerate(sequences):
            batch = pad_sequence(sequence, self._config.pad_to)
            values = np.asarray(self._probabilities(params, batch))[0]
            frame = np.flatnonzero(sequence.labels != UNLABELLED).astype(np.int32)
            columns["video_index"].append(np.full(len(frame), number, np.int32))
            columns["frame"].append(frame)
            columns["label"].append(sequence.labels[frame])
            columns["values"].append(values[frame])
        joined = {name: np.concatenate(parts) for name, parts in columns.items()}
        return Outputs(**joined, unreadable=None)
