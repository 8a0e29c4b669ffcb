"""The linear probe: how well a linear layer on frozen features tells the classes apart.

Features are computed once, without augmentation, and kept on disk. Then linear layers with every
learning rate and weight decay of the sweep train side by side, and the videos of selection choose
among them and their epochs.
"""

import functools
import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from surgvista_jax.counted import counted
from surgvista_jax.data.batches.division import Division
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.every_clip import EveryClip, Outputs
from surgvista_jax.ownership import Ownership
from surgvista_jax.tasks.finetuning.config import ProbeConfig
from surgvista_jax.tasks.finetuning.kept_features import files_of_splits, key_of, read, write
from surgvista_jax.tasks.finetuning.task import Finetuning
from surgvista_jax.tasks.selection import Selection, score
from surgvista_jax.training.partition import replicated
from surgvista_jax.training.processes import on_all_processes
from surgvista_jax.training.state import create_filled
from surgvista_jax.training.watchdog import watched
from surgvista_jax.weights.runs import find_run
from surgvista_jax.writing import clear_asides

_HIGHEST = jax.lax.Precision.HIGHEST


class Layers(NamedTuple):
    """The linear layers of a sweep after an epoch, S of them, for features as they are.

    Attributes:
        kernel: float32 [S, D, C].
        bias: float32 [S, C].
    """

    kernel: np.ndarray
    bias: np.ndarray


class Chosen(NamedTuple):
    """The best layer so far: kernel [D, C], bias [C], its epoch (from 1), setting and score."""

    kernel: np.ndarray
    bias: np.ndarray
    epoch: int
    setting: int
    score: float


def train_probe(
    task: Finetuning,
    loaded: Mapping[str, Any],
    division: Division,
    workdir: Path,
    mesh: Mesh,
    about: dict,
    kept: Ownership,
) -> tuple[dict, Outputs | None]:
    """Computes features, trains the sweep and saves the best layer with its backbone.

    Args:
        loaded: parts of the parameters (NumPy); the others are random.
        about: saved with the best parameters.
        kept: of the folder of the features; those that are there already are not computed again.

    Returns:
        The line of the best evaluation, and what the best layer says of the test videos.
    """
    config = task.config
    settings = sweep_settings(config.probe)
    if division.selection is None and len(settings) > 1:
        raise UserError(
            "config.select_on=last: a sweep needs videos to choose on; give"
            " config.probe.learning_rates and config.probe.weight_decays one value each"
        )
    _check_start(workdir, about["init_digest"])
    files = files_of_splits(kept, division)
    params = create_filled(task.init_params, loaded, mesh)
    every_clip = EveryClip(
        task.classifier.features,
        task.clip,
        config.loader,
        mesh,
        config.evaluation.batch_size,
        config.loop.unreadable,
        config.compute.xla,
    )

    if jax.process_index() == 0:
        clear_asides(kept.folder)

    def features(dataset: Dataset, title: str) -> Outputs:
        with watched(config.loop, workdir, 0, f"computing features ({title})"):
            key = key_of(task, dataset, about["init_digest"])
            path = files[next(iter(dataset.splits))]
            found = read(path, key)
            # All compute them, or none: a process that computed alone would wait for the others.
            all_found = on_all_processes(np.array(found is not None))
            if found is not None and all_found:
                return found
            computed = every_clip(params, dataset, title=f"features, {title}")
            if jax.process_index() == 0:
                write(kept, path, key, computed)
            return computed

    training = features(division.train, "train")
    validation = None if division.selection is None else features(division.selection, "selection")
    chosen = choose(task, train_linear(task, training.values, training.label), validation)
    rate, decay = settings[chosen.setting]
    if jax.process_index() == 0 and validation is not None:
        clips = counted(len(validation.frame), "clip")
        found = f"{config.evaluation.score} {chosen.score:.4f} on {clips}"
        setting = f"learning rate {rate:g}, weight decay {decay:g}, epoch {chosen.epoch}"
        print(f"probe: {found}, {division.selected_on}; {setting}", file=sys.stderr)
    head = jax.device_put({"kernel": chosen.kernel, "bias": chosen.bias}, replicated(mesh))
    selection = Selection(workdir, step=-1)  # a probe is trained anew: its lines are dropped
    about = about | {"learning_rate": rate, "weight_decay": decay, "epoch": chosen.epoch}
    selection.add(chosen.epoch, chosen.score, {**params, "head": head}, about)
    if division.test is None:
        return selection.chosen, None
    test = features(division.test, "test")
    (values,) = _probabilities(task, Layers(chosen.kernel[None], chosen.bias[None]), test.values)
    return selection.chosen, test._replace(values=values)


def _check_start(workdir: Path, origin: str) -> None:
    """Refuses the folder of a probe of other weights, whose layer would be replaced."""
    try:
        before = find_run(workdir).about.get("init_digest")
    except UserError:  # none has chosen a layer here
        return
    if before not in (None, origin):
        raise UserError(
            f"{workdir}: holds a probe of other weights (config.init: {before:.16}, now"
            f" {origin:.16}); take another --workdir"
        )


def choose(task: Finetuning, epochs: Iterator[Layers], validation: Outputs | None) -> Chosen:
    """The best layer of all epochs and settings, the first of equals; of NaN only if all are.

    Without validation features the first layer of the last epoch.
    """
    best: Chosen | None = None
    best_rank = -np.inf
    inputs = None if validation is None else jnp.asarray(validation.values)
    for epoch, layers in enumerate(epochs, start=1):
        scores = np.full(len(layers.kernel), np.nan)
        if validation is not None and inputs is not None:
            each = _probabilities(task, layers, inputs)
            name = task.config.evaluation.score
            scores = np.array([score(name, validation._replace(values=values)) for values in each])
        ranks = np.where(np.isnan(scores), -np.inf, scores)
        setting = int(ranks.argmax())
        if best is None or ranks[setting] > best_rank or validation is None:
            kernel, bias = layers.kernel[setting], layers.bias[setting]
            best = Chosen(kernel, bias, epoch, setting, float(scores[setting]))
            best_rank = ranks[setting]
    assert best is not None  # there is an epoch
    return best


def _probabilities(task: Finetuning, layers: Layers, features: jax.typing.ArrayLike) -> np.ndarray:
    """What all layers say of features [N, D] at once: float32 [S, N, C]."""
    logits = jnp.einsum("nd,sdc->snc", features, layers.kernel, precision=_HIGHEST)
    return np.asarray(task.classifier.probabilities(logits + layers.bias[:, None]))


def train_linear(task: Finetuning, features: np.ndarray, label: np.ndarray) -> Iterator[Layers]:
    """Trains one layer for each setting of the sweep, on standardised features.

    Each by AdamW with a cosine to 0, on the same batches; standardisation, by the mean and the
    deviation of the training features, is folded into the layers that each epoch yields.

    Args:
        features: float32 [N, D].
        label: int32 [N] or float32 [N, C].
    """
    probe, classes = task.config.probe, len(task.labels.classes)
    mean, deviation = (of(features, axis=0, dtype=np.float64) for of in (np.mean, np.std))
    mean, deviation = mean.astype(np.float32), deviation.astype(np.float32)
    deviation = np.where(deviation > 1e-6, deviation, 1.0)
    targets = np.eye(classes, dtype=np.float32)[label] if label.ndim == 1 else label
    # Handed to each call: what a compiled function closes over is copied into its program.
    data = jnp.asarray((features - mean) / deviation), jnp.asarray(targets)
    settings = sweep_settings(probe)
    batch_size = min(probe.batch_size, len(features))
    steps = len(features) // batch_size
    adam = optax.scale_by_adam()

    def loss(layer: dict, inputs: jax.Array, target: jax.Array) -> jax.Array:
        product = jnp.matmul(inputs, layer["kernel"], precision=_HIGHEST)
        return task.labels.loss(product + layer["bias"][None], None, target)[0]

    def update(
        carry: tuple, step: tuple, data: tuple, rate: jax.Array, decay: jax.Array
    ) -> tuple[tuple, None]:
        layer, moments = carry
        rows, share = step
        grads = jax.grad(loss)(layer, *(array[rows] for array in data))
        change, moments = adam.update(grads, moments)
        change["kernel"] = change["kernel"] + decay * layer["kernel"]
        layer = jax.tree.map(lambda p, u: p - rate * share * u, layer, change)
        return (layer, moments), None

    @jax.jit
    def epoch(carry: tuple, data: tuple, rows: jax.Array, shares: jax.Array) -> tuple:
        def one(carry: tuple, rate: jax.Array, decay: jax.Array) -> tuple:
            body = functools.partial(update, data=data, rate=rate, decay=decay)
            return jax.lax.scan(body, carry, (rows, shares))[0]

        return jax.vmap(one)(carry, *jnp.asarray(settings, jnp.float32).T)

    layer = {
        "kernel": jnp.zeros((len(settings), features.shape[1], classes)),
        "bias": jnp.zeros((len(settings), classes)),
    }
    carry = layer, jax.vmap(adam.init)(layer)
    order = np.random.default_rng(task.config.seed)
    progress = (np.arange(probe.epochs * steps) + 0.5) / (probe.epochs * steps)
    shares = (0.5 * (1 + np.cos(np.pi * progress))).astype(np.float32).reshape(probe.epochs, steps)
    for number in range(probe.epochs):
        rows = order.permutation(len(features))[: steps * batch_size].reshape(steps, batch_size)
        carry = epoch(carry, data, jnp.asarray(rows), jnp.asarray(shares[number]))
        kernel = np.asarray(carry[0]["kernel"]) / deviation[None, :, None]
        yield Layers(kernel, np.asarray(carry[0]["bias"]) - np.einsum("d,sdc->sc", mean, kernel))


def sweep_settings(probe: ProbeConfig) -> list[tuple[float, float]]:
    """Learning rate and weight decay of each layer of the sweep."""
    return list(itertools.product(probe.numbers("learning_rates"), probe.numbers("weight_decays")))
