"""The page of videos of a dataset, with what a finetuned model says of them beside the truth."""

from collections.abc import Callable
from pathlib import Path

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
) -> Path:
    """Predicts the labelled videos of a split and writes what `predict` does; the page to open.

    Args:
        checkpoint: a finetuning run.
        folder: of the dataset.
        lanes: what more is shown of a video, by its id.
        overwrite: whether files in the way that no prediction wrote may be replaced.

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
    finished = list(written_tables(videos, owned, trained.meaning))
    write_predictions(owned, trained, dataset, finished, True, said_of(None, trained))
    return write_video_pages(owned, places_of(finished), lanes=lanes)
