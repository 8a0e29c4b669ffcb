"""The features and labels of a whole video as one padded sequence."""

import dataclasses

import numpy as np

from surgvista_jax.data.dataset import UNLABELLED, Dataset
from surgvista_jax.data.storage.feature_folder import FeatureFolder
from surgvista_jax.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class VideoSequence:
    """One video of L frames.

    Attributes:
        video: its id.
        features: float32 [L, F].
        labels: int32 [L] class ids, -1 where a frame has none.
    """

    video: str
    features: np.ndarray
    labels: np.ndarray


def read_sequences(features: FeatureFolder, dataset: Dataset) -> tuple[VideoSequence, ...]:
    """The sequences of a dataset's videos, in their order.

    Raises:
        UserError: frames have several labels each, a video has none, or its features do not fit.
    """
    if dataset.label_kind != "single":
        raise UserError(
            f"{dataset.folder / 'dataset.json'}: label_kind {dataset.label_kind!r}; a temporal "
            "model of phases needs one label a frame"
        )
    features.check(dataset)
    sequences = []
    for video in dataset.videos:
        if video.labels is None or all(label == UNLABELLED for label in video.labels):
            raise UserError(
                f"{dataset.folder / 'videos.jsonl'}: video {video.video!r} has no labels; choose "
                "splits of labelled videos"
            )
        labels = np.array(video.labels, np.int32)
        sequences.append(VideoSequence(video.video, features.read(video), labels))
    return tuple(sequences)


def pad_sequence(sequence: VideoSequence, multiple: int) -> dict[str, np.ndarray]:
    """A batch of one video, its length rounded up so that few lengths have to be compiled.

    Returns:
        `features` float32 [1, L', F], `labels` int32 [1, L'] (-1 at padding) and `mask` bool
        [1, L'], True for the video's own frames; L' is a multiple of `multiple`.
    """
    length = len(sequence.labels)
    rest = -length % multiple
    return {
        "features": np.pad(sequence.features, ((0, rest), (0, 0)))[None],
        "labels": np.pad(sequence.labels, (0, rest), constant_values=UNLABELLED)[None],
        "mask": (np.arange(length + rest) < length)[None],
    }
