"""Predictions of a trained classifier for each moment of videos, and their files."""

import csv
from collections.abc import Sequence
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.video_files import files_of
from surgvista_jax.inference.every_clip import EveryClip, Outputs
from surgvista_jax.inference.trained import Meaning, TrainedClassifier
from surgvista_jax.ownership import Ownership
from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.training.partition import RULES
from surgvista_jax.training.state import create_filled
from surgvista_jax.training.unreadable import USUAL_LIMIT, UnreadableLimit
from surgvista_jax.writing import Guard, replacing

PREDICTIONS = "predictions.npz"


def predict(
    trained: TrainedClassifier,
    dataset: Dataset,
    *,
    labelled: bool,
    mesh: Mesh,
    batch_size: int,
    loader: LoaderConfig,
    limit: UnreadableLimit = USUAL_LIMIT,
) -> Outputs:
    """Probabilities of every frame of a dataset, as the end of a clip; all processes call it.

    Args:
        trained: what predicts.
        dataset: whose frames.
        labelled: only frames with a label, whose labels are then in the outputs.
        mesh: the devices.
        batch_size: clips at a time over all devices, which must be able to share them out.
        loader: how frames are read.
        limit: how many of them may be unreadable.

    Raises:
        UserError: frames that cannot be opened; too many that cannot be read.
    """
    classifier = trained.classifier
    clip = classifier.backbone.clip
    every_clip = EveryClip(classifier.predict, clip, loader, mesh, batch_size, limit)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        params = create_filled(lambda: classifier.init(jax.random.key(0)), trained.params, mesh)
        return every_clip(params, dataset, unlabelled=not labelled, title="prediction")


def check_room(owned: Ownership, videos: Sequence[str]) -> None:
    """Refuses what `write_predictions` would refuse, before anything is computed.

    Raises:
        UserError: the id of a video is no name of a file; a file in the way may not be replaced.
    """
    owned.check([owned.folder / PREDICTIONS, *files_of(owned.folder, videos, ".csv")])


def write_predictions(
    owned: Ownership, trained: TrainedClassifier, dataset: Dataset, outputs: Outputs, labelled: bool
) -> None:
    """Writes a CSV file for each video and predictions.npz, which comes last.

    Args:
        owned: of the folder that is written.

    Raises:
        CannotWrite: one of them cannot be written.
        UserError: the id of a video is no name of a file.
    """
    meaning = trained.meaning
    meta = {
        "task": meaning.task,
        "classes": list(meaning.classes),
        "label_kind": meaning.label_kind,
        "fps": meaning.fps,
        "model": trained.name,
        "dataset": dataset.name,
        "split": next(iter(dataset.splits)) if len(dataset.splits) == 1 else "",
    }
    tables = files_of(owned.folder, [video.video for video in dataset.videos], ".csv")
    for number, path in enumerate(tables):
        own = outputs.video_index == number
        _write_table(path, outputs.frame[own], outputs.values[own], meaning, owned)
    path = owned.folder / PREDICTIONS
    write_outputs(path, dataset, outputs, meta, labelled=labelled, guard=owned)


def write_outputs(
    path: Path,
    dataset: Dataset,
    outputs: Outputs,
    meta: dict,
    *,
    labelled: bool = True,
    guard: Guard | None = None,
) -> None:
    """Writes what a model says of clips in the format that `surgvista evaluate` reads.

    Args:
        dataset: what the clips are of.
        labelled: whether the outputs hold labels.
        guard: is asked before a file is replaced.

    Raises:
        CannotWrite: the file cannot be written.
    """
    names = np.array([video.video for video in dataset.videos])
    label = outputs.label if outputs.label.ndim == 1 else outputs.label.astype(np.uint8)
    write_npz(
        path,
        video=names[outputs.video_index],
        frame=outputs.frame,
        score=outputs.values,
        label=label if labelled else None,
        meta=meta,
        guard=guard,
    )


def _write_table(
    path: Path, frames: np.ndarray, scores: np.ndarray, meaning: Meaning, guard: Guard
) -> None:
    """One line a moment; `data convert videos --labels` reads the labels once they are mended."""
    with replacing(path, guard) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("frame", "second", "label", *meaning.classes))
        for frame, row in zip(frames, scores, strict=True):
            held = (
                [int(row.argmax())] if meaning.label_kind == "single" else np.flatnonzero(row > 0.5)
            )
            label = ";".join(meaning.classes[k] for k in held)
            second = f"{frame / meaning.fps:.3f}"
            writer.writerow((int(frame), second, label, *(f"{value:.4f}" for value in row)))
