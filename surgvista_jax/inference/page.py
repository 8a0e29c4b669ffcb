"""The page of videos of a dataset, with what a finetuned model says of them beside the truth."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.inference.moments import of_dataset
from surgvista_jax.inference.predictions import (
    check_room,
    places_of,
    said_of,
    write_predictions,
    write_video_pages,
    written_tables,
)
from surgvista_jax.inference.trained import load_classifier
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.ownership import in_folder
from surgvista_jax.predictions.smoothing import Smoothing
from surgvista_jax.training.partition import MeshConfig, make_mesh
from surgvista_jax.viewer.lanes import Lane

_CLIPS_OF_A_DEVICE = 8  # at a time


def predicted_page(
    checkpoint: Path,
    folder: Path,
    split: str,
    out: Path,
    lanes: Callable[[str], tuple[Lane, ...]],
    overwrite: bool = False,
) -> tuple[Path, float]:
    """Predicts the labelled videos of a split, as the best paths through them, and writes pages.

    Everything is written that `predict` writes.

    Args:
        checkpoint: a finetuning run.
        folder: of the dataset.
        lanes: what more is shown of a video, by its id.
        overwrite: whether files in the way that no prediction wrote may be replaced.

    Returns:
        The page to open, and the share of moments whose label is the true one.

    Raises:
        UserError: what loading, reading and writing raise.
    """
    trained = load_classifier(str(checkpoint), {}, compute=ComputeConfig(dtype="float32"))
    dataset = read_dataset(folder).split(split)
    owned = in_folder(out, overwrite)
    check_room(owned, [video.video for video in dataset.videos])
    mesh = make_mesh(MeshConfig())
    videos = of_dataset(
        trained,
        dataset,
        labelled=True,
        mesh=mesh,
        batch_size=_CLIPS_OF_A_DEVICE * mesh.size,
        loader=LoaderConfig(),
    )
    smoothing = Smoothing("viterbi", transitions=trained.transitions)
    finished = list(written_tables(videos, owned, trained.meaning, smoothing))
    write_predictions(owned, trained, dataset, finished, True, said_of(smoothing, trained))
    said = [moments.outputs for moments in finished]
    right = np.concatenate([each.values.argmax(1) == each.label for each in said])
    return write_video_pages(owned, places_of(finished), lanes=lanes), float(right.mean())
