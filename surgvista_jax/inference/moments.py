"""What a trained classifier says of each moment of videos, a video as soon as it is finished."""

import operator
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.inference.every_clip import EveryClip, Outputs, joined
from surgvista_jax.inference.trained import TrainedClassifier
from surgvista_jax.predictions.smoothing import Smoothing
from surgvista_jax.training.partition import RULES
from surgvista_jax.training.state import create_filled
from surgvista_jax.training.unreadable import USUAL_LIMIT, UnreadableLimit


class Moments(NamedTuple):
    """One finished video.

    Attributes:
        video: its entry in a manifest: id, source, rate and number of frames.
        folder: what its source is relative to.
        outputs: a row for each moment; probabilities [N, C] in `values`.
    """

    video: Video
    folder: Path
    outputs: Outputs


def of_dataset(
    trained: TrainedClassifier,
    dataset: Dataset,
    *,
    labelled: bool,
    mesh: Mesh,
    batch_size: int,
    loader: LoaderConfig,
    limit: UnreadableLimit = USUAL_LIMIT,
) -> Iterator[Moments]:
    """Yields the videos of a dataset in their order; of each every frame, as the end of a clip.

    Args:
        trained: what predicts.
        dataset: whose frames.
        labelled: only frames with a label, whose labels are then in the outputs; a video without
            any does not appear.
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
        parts = every_clip.parts(params, dataset, unlabelled=not labelled, title="prediction")
        for number, outputs in by_video(parts):
            yield Moments(dataset.videos[number], dataset.folder, outputs)


def smoothed(moments: Moments, smoothing: Smoothing) -> Moments:
    """The moments with their probabilities smoothed over the time of the video."""
    outputs = moments.outputs
    values = smoothing.of_video(outputs.frame, outputs.values)
    return moments._replace(outputs=outputs._replace(values=values))


def by_video(parts: Iterator[Outputs]) -> Iterator[tuple[int, Outputs]]:
    """Cuts batches, whose rows come video after video, into the number and the rows of each."""
    own: list[Outputs] = []
    for part in parts:
        borders = [0, *(np.flatnonzero(np.diff(part.video_index)) + 1).tolist(), len(part.frame)]
        for rows in map(slice, borders, borders[1:]):
            piece: Outputs = jax.tree.map(operator.itemgetter(rows), part)
            if own and own[0].video_index[0] != piece.video_index[0]:
                yield int(own[0].video_index[0]), joined(own)
                own = []
            own.append(piece)
    if own:
        yield int(own[0].video_index[0]), joined(own)
