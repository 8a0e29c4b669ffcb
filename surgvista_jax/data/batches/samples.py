"""Samples: the clips of a dataset that have a label, and what it is."""

import dataclasses

import numpy as np

from surgvista_jax.data.batches.clips import (
    ClipConfig,
    ClipIndex,
    clip_frame_ids,
    uniform_frame_ids,
)
from surgvista_jax.data.dataset import UNLABELLED, Dataset, Video
from surgvista_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Samples:
    """The labelled clips of a dataset, N of them, in the order of its videos and frames.

    Attributes:
        video: int32 [N], the number of the video.
        frame: int32 [N], the clip's last frame, whose label it is.
        index: int64 [N], the same two as one number, which `describe_clip` names.
        label: int32 [N] class ids, or float32 [N, C] of 0 and 1 for the label kind "multi".
    """

    video: np.ndarray
    frame: np.ndarray
    index: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.video)


def every_sample(dataset: Dataset, clip: ClipConfig) -> Samples:
    """Lists every frame, or with `clip.sampling` "uniform" every video; labels are -1.

    Raises:
        UserError: there are no frames.
    """
    lengths = [video.num_frames for video in dataset.videos]
    if not sum(lengths):
        raise UserError(f"{dataset.folder}: no frames in the videos chosen")
    whole = clip.sampling == "uniform"
    frames = [np.array([n - 1]) if whole and n else np.arange(n) for n in lengths]
    numbers = np.repeat(np.arange(len(lengths)), [len(part) for part in frames])
    return _samples(dataset, numbers, np.concatenate(frames), np.full(len(numbers), UNLABELLED))


def labelled_samples(dataset: Dataset, clip: ClipConfig, key: str = "config.clip") -> Samples:
    """Lists the samples: every labelled frame, or with `clip.sampling` "uniform" every video.

    Args:
        key: where the user says the clip, for messages.

    Raises:
        UserError: a video has no labels, nothing is labelled, or a video that is one clip has
            several labels.
    """
    videos, frames, labels = [], [], []
    for number, video in enumerate(dataset.videos):
        if video.labels is None:
            raise UserError(
                f"{dataset.folder / 'videos.jsonl'}: video {video.video!r} has no labels; choose a "
                "split of labelled videos"
            )
        found = [(at, label) for at, label in enumerate(video.labels) if label != UNLABELLED]
        if clip.sampling == "uniform" and found:
            if any(label != found[0][1] for _, label in found):
                raise UserError(
                    f"{dataset.folder / 'videos.jsonl'}: video {video.video!r} has several labels; "
                    f"{key}.sampling='uniform' makes one clip of it: take 'past'"
                )
            found = [(video.num_frames - 1, found[0][1])]
        for at, label in found:
            videos.append(number)
            frames.append(at)
            labels.append(label)
    if not videos:
        raise UserError(f"{dataset.folder}: no labelled frame in the videos chosen")
    if dataset.label_kind == "multi":
        targets = np.zeros((len(labels), len(dataset.classes)), np.float32)
        for row, class_ids in zip(targets, labels, strict=True):
            row[list(class_ids)] = 1
    else:
        targets = np.array(labels, np.int32)
    return _samples(dataset, np.array(videos), np.array(frames), targets)


def _samples(
    dataset: Dataset, numbers: np.ndarray, frames: np.ndarray, labels: np.ndarray
) -> Samples:
    clips = ClipIndex([video.num_frames for video in dataset.videos])
    firsts = np.array([clips.first(number) for number in range(len(dataset.videos))])
    labels = labels if labels.dtype == np.float32 else labels.astype(np.int32)
    return Samples(
        numbers.astype(np.int32),
        frames.astype(np.int32),
        (firsts[numbers] + frames).astype(np.int64),
        labels,
    )


def members_of_classes(label: np.ndarray) -> tuple[np.ndarray, ...]:
    """The numbers of the samples of each class that has any, ascending, for balanced sampling.

    A sample of several classes is in each of them, and samples of none form one more.

    Args:
        label: int [N], or float [N, C] of 0 and 1.
    """
    if label.ndim == 1:
        groups = [np.flatnonzero(label == each) for each in np.unique(label)]
    else:
        groups = [np.flatnonzero(column) for column in label.T]
        groups.append(np.flatnonzero(label.sum(1) == 0))
    return tuple(group for group in groups if len(group))


def sample_frame_ids(clip: ClipConfig, video: Video, frame: int) -> np.ndarray:
    """Returns the frames of the sample that ends at `frame` of a video, int64 [T]."""
    if clip.sampling == "uniform":
        return uniform_frame_ids(video.num_frames, clip.num_frames)
    return clip_frame_ids(int(frame), clip.num_frames, clip.stride)
