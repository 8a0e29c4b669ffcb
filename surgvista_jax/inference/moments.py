"""What a trained classifier says of each moment of videos, a video as soon as it is finished."""

from collections.abc import Generator, Sequence

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.dataset import UNLABELLED, Dataset, Video
from surgvista_jax.data.storage.feature_folder import FeatureFolder
from surgvista_jax.data.storage.features_header import HEADER_FILE
from surgvista_jax.inference.every_clip import EveryClip, Outputs
from surgvista_jax.inference.recordings import Moments, by_video, each_recording
from surgvista_jax.inference.remarks import Remarks
from surgvista_jax.inference.temporal import TrainedTemporal
from surgvista_jax.inference.trained import Trained
from surgvista_jax.predictions.smoothing import Smoothing
from surgvista_jax.training.partition import RULES
from surgvista_jax.training.state import create_filled
from surgvista_jax.training.unreadable import USUAL_LIMIT, UnreadableLimit


def of_dataset(
    trained: Trained,
    dataset: Dataset,
    *,
    labelled: bool,
    mesh: Mesh,
    batch_size: int,
    loader: LoaderConfig,
    limit: UnreadableLimit = USUAL_LIMIT,
) -> Generator[Moments, None, None]:
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
    if not dataset.videos:
        return
    temporal = isinstance(trained, TrainedTemporal)
    clip = trained.backbone.clip
    every_clip = EveryClip(trained.of_clip, clip, loader, mesh, batch_size, limit)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        params = create_filled(trained.init, trained.params, mesh)
        every = temporal or not labelled
        parts = every_clip.parts(params, dataset, unlabelled=every, title="prediction")
        for number, outputs in by_video(parts):
            video = dataset.videos[number]
            if isinstance(trained, TrainedTemporal):
                outputs = outputs._replace(values=trained.of_video(outputs.values))
                outputs = with_labels(outputs, video) if labelled else outputs
            damage = (*(video.damage or ()), *_replaced(outputs))
            yield Moments(video, dataset.folder, outputs, damage)


def of_features(
    trained: TrainedTemporal, dataset: Dataset, folder: FeatureFolder, *, labelled: bool
) -> Generator[Moments, None, None]:
    """As `of_dataset`, by features that are there already.

    Raises:
        UserError: they are of another backbone or dataset, or damaged; or some are missing.
    """
    trained.check_features(folder.header, folder.folder / HEADER_FILE)
    folder.check(dataset)
    for number, video in enumerate(dataset.videos):
        frame = np.arange(video.num_frames, dtype=np.int32)
        outputs = Outputs(
            video_index=np.full_like(frame, number),
            frame=frame,
            label=np.full_like(frame, UNLABELLED),
            values=trained.of_video(np.array(folder.read(video))),
            unreadable=np.zeros_like(frame),
        )
        outputs = with_labels(outputs, video) if labelled else outputs
        yield Moments(video, dataset.folder, outputs, video.damage or ())


def with_labels(outputs: Outputs, video: Video) -> Outputs:
    """The rows of all frames of a video that have a label, with it: one class a frame."""
    label = np.array(video.labels, np.int32)[outputs.frame]
    kept = label != UNLABELLED
    return Outputs(
        video_index=outputs.video_index[kept],
        frame=outputs.frame[kept],
        label=label[kept],
        values=outputs.values[kept],
        unreadable=None if outputs.unreadable is None else outputs.unreadable[kept],
    )


def smoothed(moments: Moments, smoothing: Smoothing) -> Moments:
    """The moments with their probabilities smoothed over the time of the video."""
    outputs = moments.outputs
    values = smoothing.of_video(outputs.frame, outputs.values)
    return moments._replace(outputs=outputs._replace(values=values))


def of_recordings(
    trained: Trained,
    sources: Sequence[SourceVideo],
    config: ExtractConfig,
    remarks: Remarks,
    mesh: Mesh,
    batch_size: int,
    threads: int | None = None,
) -> Generator[Moments, None, None]:
    """Yields videos in their order, decoded meanwhile; of each every frame, as the end of a clip.

    A video that breaks off gives what came before. No frame is kept. A frame is what `data
    convert` extracts there, but for the last digits, which storing it as a JPEG changes.

    Args:
        trained: what predicts.
        sources: video files and folders of frames.
        config: rate and size of their frames; a video that has fewer a second is left out.
        remarks: where it is noted what is to be said of a video, before it is yielded.
        mesh, batch_size: as for `of_dataset`.
        threads: that decode; None: as many as there are cores.
    """
    if not sources:
        return
    clip = trained.backbone.clip
    every_clip = EveryClip(trained.of_clip, clip, LoaderConfig(), mesh, batch_size)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        params = create_filled(trained.init, trained.params, mesh)
        recordings = each_recording(
            every_clip, params, sources, config, remarks, threads=threads, title="prediction"
        )
        for moments in recordings:
            if isinstance(trained, TrainedTemporal):
                values = trained.of_video(moments.outputs.values)
                moments = moments._replace(outputs=moments.outputs._replace(values=values))
            yield moments


def _replaced(outputs: Outputs) -> tuple[str, ...]:
    """Of how many moments the clips lack frames, in words; () where none does."""
    assert outputs.unreadable is not None
    count, moments = int((outputs.unreadable > 0).sum()), len(outputs.frame)
    if not count:
        return ()
    return (f"of {count} of its {moments} moments frames could not be read and were replaced",)
