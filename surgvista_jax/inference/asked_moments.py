"""Of which moments of which videos does a user ask for predictions?"""

import argparse
import dataclasses
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jax.sharding import Mesh

from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.own_videos import convert_given, given_dataset
from surgvista_jax.data.conversion.sources import Search, items_of
from surgvista_jax.data.dataset import UNLABELLED, Dataset, Video
from surgvista_jax.data.storage.feature_folder import open_features
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.clip_batches import SAME_RATE
from surgvista_jax.inference.given_videos import found_videos, is_dataset, reading_at
from surgvista_jax.inference.idle_options import Way, refuse_idle, way_of
from surgvista_jax.inference.moments import of_dataset, of_features, of_recordings
from surgvista_jax.inference.moments_in_parts import Choice
from surgvista_jax.inference.predictions import check_room
from surgvista_jax.inference.recordings import Moments, other_rate
from surgvista_jax.inference.remarks import Remarks
from surgvista_jax.inference.temporal import TrainedTemporal
from surgvista_jax.inference.trained import Trained
from surgvista_jax.ownership import Ownership
from surgvista_jax.training.unreadable import UnreadableLimit


class Asked(NamedTuple):
    """What a user asks for.

    Attributes:
        each: finishes video after video as it is taken.
        dataset: what they are of; its videos are those that are asked for, which need not all be
            finished.
        labelled: whether their labels are known and in the moments.
    """

    each: Generator[Moments, None, None]
    dataset: Dataset
    labelled: bool


def asked_moments(
    arguments: argparse.Namespace,
    trained: Trained,
    owned: Ownership,
    remarks: Remarks,
    *,
    mesh: Mesh,
    loader: LoaderConfig,
    limit: UnreadableLimit,
    choice: Choice | None = None,
) -> Asked:
    """What the options of `predict` ask for, with nothing computed yet.

    Args:
        arguments: the options; their batch size is known.
        trained: what predicts.
        owned: of the folder that will be written.
        remarks: where it is noted what is to be said of the videos.
        mesh: the devices.
        loader: how frames of a dataset folder are read.
        limit: how many of them may be unreadable.
        choice: which of the videos are looked at; None: all.

    Raises:
        UserError: there are no such videos, or none that can be looked at; an option that means
            nothing for them; a file in the way.
    """
    meaning, size = trained.meaning, arguments.batch_size
    found: tuple[Path, Search] | None = None
    if not is_dataset(arguments.videos):
        if arguments.features is not None:
            raise UserError("--features: is for a dataset folder, whose features they are")
        folder, search = found = found_videos(arguments)
        refuse_idle(arguments, way := way_of(arguments, search.videos))
        if choice is not None and way is not Way.FILES:
            raise UserError(
                "--part: frames would be kept in one folder by all; let `surgvista data convert"
                " --part` extract them, and predict that dataset"
            )
        if way is Way.FILES:
            videos = tuple(Video(s.video, s.path.name, meaning.fps, 0) for s in search.videos)
            check_room(owned, [video.video for video in videos])
            remarks.add(search.problems, search.notes)
            dataset = given_dataset(folder, folder, meaning.fps)
            config, how = reading_at(arguments, meaning.fps), (mesh, size, arguments.workers)
            sources = search.videos
            if choice is not None:
                sources = [sources[number] for number in choice(items_of(sources))]
            each = of_recordings(trained, sources, config, remarks, *how)
            return Asked(each, dataclasses.replace(dataset, videos=videos), False)
    dataset = _with_frames(arguments, trained, owned, remarks, found)
    check_room(owned, [video.video for video in dataset.videos])
    labelled = (dataset.classes, dataset.label_kind) == (meaning.classes, meaning.label_kind)
    labelled &= all(video.labels is not None for video in dataset.videos)
    chosen = dataset
    if choice is not None:
        own = [dataset.videos[number] for number in choice(dataset.sizes)]
        chosen = dataclasses.replace(dataset, videos=tuple(v for v in own if _has(v, labelled)))
    if arguments.features is not None and isinstance(trained, TrainedTemporal):
        features = open_features(arguments.features)
        return Asked(of_features(trained, chosen, features, labelled=labelled), dataset, labelled)
    each = of_dataset(
        trained,
        chosen,
        labelled=labelled,
        mesh=mesh,
        batch_size=size,
        loader=loader,
        limit=limit,
    )
    return Asked(each, dataset, labelled)


def _has(video: Video, labelled: bool) -> bool:
    """Whether a video has a frame that is looked at."""
    if not labelled or video.labels is None:
        return video.num_frames > 0
    return any(label != UNLABELLED for label in video.labels)


def _with_frames(
    arguments: argparse.Namespace,
    trained: Trained,
    owned: Ownership,
    remarks: Remarks,
    found: tuple[Path, Search] | None,
) -> Dataset:
    """A dataset folder, or one made of the videos found, without those of another rate."""
    meaning = trained.meaning
    if found is None:
        dataset = read_dataset(arguments.videos[0])
        dataset = trained.split(dataset, arguments.split) if arguments.split else dataset
    else:
        conversion = convert_given(
            *found,
            arguments.out / "frames",
            reading_at(arguments, meaning.fps),
            partial(check_room, owned),
            overwrite=arguments.overwrite,
        )
        dataset = conversion.dataset
        remarks.add(conversion.problems, conversion.notes)
    # A clip of another rate spans another time than those of training.
    slow = [video for video in dataset.videos if abs(video.fps / meaning.fps - 1) > SAME_RATE]
    remarks.add([other_rate(video.video, video.fps, meaning.fps) for video in slow])
    if len(slow) == len(dataset.videos):
        raise UserError(remarks.last())
    videos = tuple(video for video in dataset.videos if video not in slow)
    return dataclasses.replace(dataset, videos=videos)
