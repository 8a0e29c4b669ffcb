"""What a trained classifier says of each moment of videos, a video as soon as it is finished."""

import dataclasses
import operator
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.extract import ExtractConfig, Extracted
from surgvista_jax.data.conversion.remarks import remarks_on, told_once
from surgvista_jax.data.conversion.sources import Remark, SourceVideo
from surgvista_jax.data.dataset import UNLABELLED, Dataset, Video
from surgvista_jax.data.storage.feature_folder import HEADER_FILE, FeatureFolder
from surgvista_jax.inference.clip_batches import Read, open_batches
from surgvista_jax.inference.every_clip import EveryClip, Outputs, joined
from surgvista_jax.inference.temporal import TrainedTemporal
from surgvista_jax.inference.trained import Trained
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
            yield Moments(video, dataset.folder, outputs)


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
        yield Moments(video, dataset.folder, outputs)


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


@dataclasses.dataclass
class Remarks:
    """What is to be said of videos: what could not be read, and what else should be known."""

    problems: list[Remark] = dataclasses.field(default_factory=list)
    notes: list[Remark] = dataclasses.field(default_factory=list)
    _said: set[Remark] = dataclasses.field(default_factory=set)

    def add(
        self, problems: Sequence[Remark], notes: Sequence[Remark] = (), *, printed: bool = False
    ) -> None:
        """Takes some in; `printed`: they were printed already."""
        self.problems += problems
        self.notes += notes
        self._said.update((*problems, *notes) if printed else ())

    def say(self) -> None:
        """Prints those that were not printed before."""
        fresh = [note for note in self.notes if note not in self._said]
        for remark in (*told_once(fresh), *(p for p in self.problems if p not in self._said)):
            print(remark, file=sys.stderr)
        self._said.update(self.notes, self.problems)

    def last(self) -> str:
        """Why nothing is left, where every video is a problem; prints the others."""
        *before, last = self.problems
        for remark in before:
            if remark not in self._said:
                print(remark, file=sys.stderr)
        return str(last)


def of_recordings(
    trained: Trained,
    sources: Sequence[SourceVideo],
    config: ExtractConfig,
    remarks: Remarks,
    *,
    mesh: Mesh,
    batch_size: int,
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
    """
    clip = trained.backbone.clip
    every_clip = EveryClip(trained.of_clip, clip, LoaderConfig(), mesh, batch_size)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        params = create_filled(trained.init, trained.params, mesh)
        batches, noted = open_batches(sources, config, clip, batch_size), 0
        for number, outputs in by_video(every_clip.over(params, batches, title="prediction")):
            source, read = sources[number], batches.read[number]
            assert read.fps is not None
            for earlier in range(noted, number + 1):
                _note(sources[earlier], batches.read[earlier], config.fps, remarks)
            noted = number + 1
            if isinstance(trained, TrainedTemporal):
                outputs = outputs._replace(values=trained.of_video(outputs.values))
            video = Video(source.video, source.path.name, read.fps, read.num_frames)
            yield Moments(video, source.path.parent, outputs)
        for number in range(noted, len(sources)):
            _note(sources[number], batches.read[number], config.fps, remarks)


def _note(source: SourceVideo, read: Read, fps: float, remarks: Remarks) -> None:
    end = read.end
    if isinstance(end, Extracted):
        remarks.add(*remarks_on(source, end, fps))
    elif end is not None:
        kept = f"; what came before, {read.num_frames} frames, is kept" if read.num_frames else ""
        remarks.add([Remark(str(source.path), f"{end}{kept}")])
    elif read.fps is not None:
        remarks.add([other_rate(source.video, read.fps, fps)])


def other_rate(video: str, fps: float, trained: float) -> Remark:
    """Why a video is left out whose clips would span another time than those of training."""
    text = f"{fps:g} frames a second, where the model was trained on {trained:g}"
    return Remark(video, f"left out: has {text}")


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
