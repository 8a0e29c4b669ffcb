"""Which clips of a dataset have a label, and what is it?"""

import dataclasses

import numpy as np

from surgvista_jax.data.clips import ClipConfig, ClipIndex, clip_frame_ids, uniform_frame_ids
from surgvista_jax.data.manifest import UNLABELLED, Dataset, Video
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


def labelled_samples(dataset: Dataset, clip: ClipConfig) -> Samples:
    """Lists the samples: every labelled frame, or with `clip.sampling` "uniform" every video.

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
                    "clip.sampling='uniform' makes one clip of it: take 'past'"
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
    clips = ClipIndex([video.num_frames for video in dataset.videos])
    firsts = np.array([clips.first(number) for number in range(len(dataset.videos))])
    number, frame = np.array(videos, np.int32), np.array(frames, np.int32)
    return Samples(number, frame, (firsts[number] + frame).astype(np.int64), targets)


def sample_frame_ids(clip: ClipConfig, video: Video, frame: int) -> np.ndarray:
    """Returns the frames of the sample that ends at `frame` of a video, int64 [T]."""
    if clip.sampling == "uniform":
        return uniform_frame_ids(video.num_frames, clip.num_frames)
    return clip_frame_ids(int(frame), clip.num_frames, clip.stride)
