"""How well do a backbone's frozen features tell the classes apart, by a linear layer alone?

Features are computed once, without augmentation, and kept in the run's folder. Then linear layers
with every learning rate and weight decay of the sweep train side by side, and the videos of
selection choose among them and their epochs.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from surgvista_jax.data.division import Division
from surgvista_jax.data.manifest import Dataset, fingerprint
from surgvista_jax.errors import UserError
from surgvista_jax.finetuning import Finetuning
from surgvista_jax.finetuning_config import ProbeConfig
from surgvista_jax.inference import Outputs, make_apply, over_dataset
from surgvista_jax.models.patches import normalise
from surgvista_jax.selection import Selection, score
from surgvista_jax.training.partition import replicated
from surgvista_jax.training.processes import on_all_processes

FOLDER = "features"


class Sweep(NamedTuple):
    """Linear layers trained side by side, S of them.

    Attributes:
        kernel: float32 [epochs, S, D, C], after each epoch, for features as they are.
        bias: float32 [epochs, S, C].
        settings: learning rate and weight decay of each.
    """

    kernel: np.ndarray
    bias: np.ndarray
    settings: list[tuple[float, float]]


def train_probe(
    task: Finetuning, params: dict, division: Division, workdir: Path, mesh: Mesh, about: dict
) -> Selection:
    """Computes features, trains the sweep and keeps the best layer with its backbone.

    Args:
        params: all parameters on the mesh; the head's linear layer is replaced.
        about: saved with the best parameters.
    """
    config = task.config
    if division.selection is None and len(_settings(config.probe)) > 1:
        raise UserError(
            "config.select_on=last: a sweep needs videos to choose on; give"
            " probe.learning_rates and probe.weight_decays one value each"
        )
    apply = make_apply(functools.partial(_features, task), mesh)

    def features(dataset: Dataset, title: str) -> Outputs:
        key = _key(task, dataset, about["init_digest"])
        path = workdir / FOLDER / f"{next(iter(dataset.splits)).replace('/', '_')}.npz"
        found = _read(path, key)
        # All compute them, or none: a process that computed alone would wait for the others.
        if not on_all_processes(np.array(found is not None)):
            found = over_dataset(
                apply,
                params,
                dataset,
                task.clip,
                config.loader,
                mesh=mesh,
                batch_size=config.evaluation.batch_size,
                title=f"features, {title}",
            )
            if jax.process_index() == 0:
                _write(path, key, found)
        return found

    training = features(division.train, "train")
    sweep = train_linear(task, training.values, training.label)
    if division.selection is None:
        epoch, number, value = config.probe.epochs - 1, 0, float("nan")
    else:
        validation = features(division.selection, "selection")
        epoch, number, value = _choose(task, sweep, validation)
    rate, decay = sweep.settings[number]
    chosen = {"learning_rate": rate, "weight_decay": decay, "epoch": epoch + 1}
    if jax.process_index() == 0 and division.selection is not None:
        found = f"{config.evaluation.score} {value:.4f} on {len(validation.frame)} clips"
        setting = f"learning rate {rate:g}, weight decay {decay:g}, epoch {epoch + 1}"
        print(f"probe: {found}, {division.selected_on}; {setting}", file=sys.stderr)
    head = jax.device_put(
        {"kernel": sweep.kernel[epoch, number], "bias": sweep.bias[epoch, number]}, replicated(mesh)
    )
    selection = Selection(workdir, step=-1)  # a probe is trained anew: its lines are dropped
    selection.add(epoch + 1, value, {**params, "head": head}, about | chosen)
    return selection


def _choose(task: Finetuning, sweep: Sweep, validation: Outputs) -> tuple[int, int, float]:
    """Epoch (from 0), setting and score of the best layer, the first of equals."""

    def value(kernel: np.ndarray, bias: np.ndarray) -> float:
        values = np.asarray(task.probabilities(validation.values @ kernel + bias))
        return score(task.config.evaluation.score, validation._replace(values=values))

    scores = np.array(
        [
            [value(*layer) for layer in zip(*epoch, strict=True)]
            for epoch in zip(sweep.kernel, sweep.bias, strict=True)
        ]
    )
    epoch, number = np.unravel_index(np.argmax(np.nan_to_num(scores, nan=-1.0)), scores.shape)
    return int(epoch), int(number), float(scores[epoch, number])


def _features(task: Finetuning, params: dict, video: jax.Array) -> jax.Array:
    """What the linear layer sees: uint8 [B, T, H, W, 3] -> [B, D]."""
    pixels = normalise(video, jnp.dtype(task.config.compute.dtype))
    return task.classify(params, task.tokens(params, pixels))[0]


def train_linear(task: Finetuning, features: np.ndarray, label: np.ndarray) -> Sweep:
    """Trains one layer for each setting of the sweep, on standardised features.

    Each by AdamW with a cosine to 0, on the same batches; standardisation, by the mean and the
    deviation of the training features, is folded into the layers returned.

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
    settings = _settings(probe)
    batch_size = min(probe.batch_size, len(features))
    steps = len(features) // batch_size
    adam = optax.scale_by_adam()

    def loss(layer: dict, inputs: jax.Array, target: jax.Array) -> jax.Array:
        product = jnp.matmul(inputs, layer["kernel"], precision=jax.lax.Precision.HIGHEST)
        return task.label_loss(product + layer["bias"][None], None, target)[0]

    def update(carry: tuple, step: tuple, data: tuple, rate: jax.Array, decay: jax.Array):
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
    kernels, biases = [], []
    for number in range(probe.epochs):
        rows = order.permutation(len(features))[: steps * batch_size].reshape(steps, batch_size)
        carry = epoch(carry, data, jnp.asarray(rows), jnp.asarray(shares[number]))
        kernel = np.asarray(carry[0]["kernel"]) / deviation[None, :, None]
        kernels.append(kernel)
        biases.append(np.asarray(carry[0]["bias"]) - np.einsum("d,sdc->sc", mean, kernel))
    return Sweep(np.stack(kernels), np.stack(biases), settings)


def _settings(probe: ProbeConfig) -> list[tuple[float, float]]:
    """Learning rate and weight decay of each layer of the sweep."""
    return list(itertools.product(probe.numbers("learning_rates"), probe.numbers("weight_decays")))


def _key(task: Finetuning, dataset: Dataset, origin: str) -> str:
    """What decides the features of a dataset; another key, and they are computed anew."""
    decisive = [
        fingerprint(dataset),
        [video.labels for video in dataset.videos],  # they are kept with the features
        origin,
        task.config.seed if origin == "random" else None,
        repr(task.model),
        repr(task.config.adapt),
        repr(task.clip),
        repr(task.config.head),
        task.config.compute.dtype,
    ]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def _read(path: Path, key: str) -> Outputs | None:
    """Features that were kept, if they are those of the key and whole."""
    with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            if str(file["key"]) == key:
                return Outputs(**{name: file[name] for name in Outputs._fields})
    return None


def _write(path: Path, key: str, outputs: Outputs) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with open(partial, "wb") as file:
            np.savez(file, key=np.array(key), **outputs._asdict())
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
