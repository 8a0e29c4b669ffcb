"""Batches of labelled clips for finetuning and evaluation, the same ones on any machine.

As in pretraining a batch is a function of (seed, step) alone. For evaluation there is no seed:
batch `step` holds the samples step * batch_size, ... of the dataset in its order, each once.
"""

import dataclasses
from collections.abc import Callable, Sequence

import grain
import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.crop import AugmentConfig, augment_clip, resize_clip
from surgvista_jax.data.batches.loader import BatchLoader, LoaderConfig
from surgvista_jax.data.batches.order import seeds_of
from surgvista_jax.data.batches.samples import (
    Samples,
    every_sample,
    labelled_samples,
    members_of_classes,
    sample_frame_ids,
)
from surgvista_jax.data.batches.share import Share, check_rows
from surgvista_jax.data.batches.shared_memory import Batch
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.open import open_frames


def finetune_batches(
    dataset: Dataset,
    clip: ClipConfig,
    augment: AugmentConfig,
    loader: LoaderConfig,
    share: Share,
    *,
    seed: int,
    balanced: bool = False,
) -> BatchLoader:
    """Returns the training batches of a share of a run, to be closed.

    Batch `step` holds the samples step * batch_size, ... of an endless order in which each epoch
    visits every labelled clip once, shuffled anew, and augmented anew.

    Args:
        balanced: draws a class first, all alike, and then one of its clips, instead of visiting
            every clip once an epoch.

    Returns:
        Dicts with b = len(share.rows): `video` uint8 [b, T, H, W, 3], `label` int32 [b] or float32
        [b, C], `video_index` int32 [b], the number of the video in the dataset, `frame` int32 [b],
        the clip's last frame, `weight` float32 [b], 1; and for the host `index` int64 [b], which
        `describe_clip` names, and `unreadable` bool [b, T], the frames that had to be replaced.

    Raises:
        UserError: if the dataset has no labels, or settings do not fit it.
    """
    reader = _SampleReader(dataset, clip, labelled_samples(dataset, clip))
    order_seed, sample_seed = seeds_of(seed)
    plans = (
        grain.MapDataset.range(len(reader.samples))
        .shuffle(seed=order_seed)
        .repeat(None)
        .random_map(_Planner(reader.samples.label if balanced else None), seed=sample_seed)
    )
    plans[0]  # grain sets up its counters at the first access, which is not safe in threads
    rows = tuple(map(int, share.rows))
    read = _TrainingRows(plans, reader, augment, share.batch_size, rows)
    return BatchLoader(read, len(rows), share.start_step, share.num_steps, loader)


def evaluation_batches(
    dataset: Dataset,
    clip: ClipConfig,
    loader: LoaderConfig,
    *,
    batch_size: int,
    rows: np.ndarray,
    unlabelled: bool = False,
) -> BatchLoader:
    """Returns the batches in which every labelled clip of the dataset comes once, to be closed.

    All processes get the same number of batches. Rows past the last sample have weight 0, black
    frames, label 0, and -1 for `video_index`, `frame` and `index`.

    Args:
        rows: which rows of the global batch to return, ascending: those of this process's devices.
        unlabelled: takes every frame instead, labelled or not, with the label -1.

    Returns:
        The keys of `finetune_batches`; frames are resized as a whole, without augmentation.

    Raises:
        UserError: if the dataset has no labels, or settings do not fit it.
    """
    check_rows(rows, batch_size)
    samples = every_sample(dataset, clip) if unlabelled else labelled_samples(dataset, clip)
    reader = _SampleReader(dataset, clip, samples)
    num_batches = -(-len(reader.samples) // batch_size)
    read = _EvaluationRows(reader, batch_size, tuple(map(int, rows)))
    return BatchLoader(read, len(rows), 0, num_batches, loader)


class _Planner:
    """Draws all that is random about one sample: which one, and the seed of its augmentation.

    What is drawn from that seed depends on the size of the frames, which only the reader knows.
    """

    def __init__(self, balanced: np.ndarray | None):
        """Takes the labels of all samples to balance by, or None for the order as it comes."""
        self._classes = () if balanced is None else members_of_classes(balanced)

    def __call__(self, sample: int, rng: np.random.Generator) -> tuple[int, int]:
        seed = int(rng.integers(2**63))
        if self._classes:
            members = self._classes[rng.integers(len(self._classes))]
            sample = members[rng.integers(len(members))]
        return int(sample), seed


class _SampleReader:
    """Decodes samples and gives them the size of the clip; it is sent to every worker."""

    def __init__(self, dataset: Dataset, clip: ClipConfig, samples: Samples):
        self.samples = samples
        self._clip = clip
        self._videos = [dataclasses.replace(video, labels=None) for video in dataset.videos]
        # An invalid source fails here, by name.
        self._frames = [open_frames(*place) for place in dataset.places()]

    def read(
        self,
        numbers: Sequence[int],
        resize: Callable[[int, np.ndarray, np.ndarray], None],
        empty: Callable[..., np.ndarray],
    ) -> Batch:
        """Returns the batch of these samples; numbers from len(samples) on give padding.

        Args:
            resize: called with (row, frames, out), writes the clip of a row from its frames.
            empty: allocates the array of the pixels.
        """
        count, clip, samples = len(numbers), self._clip, self.samples
        batch = {
            "video": empty((count, clip.num_frames, clip.size, clip.size, 3), np.uint8),
            "label": np.zeros((count, *samples.label.shape[1:]), samples.label.dtype),
            "video_index": np.full(count, -1, np.int32),
            "frame": np.full(count, -1, np.int32),
            "weight": np.zeros(count, np.float32),
            "index": np.full(count, -1, np.int64),
            "unreadable": np.zeros((count, clip.num_frames), bool),
        }
        for row, number in enumerate(numbers):
            if number >= len(samples):
                batch["video"][row] = 0
                continue
            which = samples.video[number]
            frame_ids = sample_frame_ids(clip, self._videos[which], samples.frame[number])
            frames, batch["unreadable"][row] = self._frames[which].read(frame_ids)
            resize(row, frames, batch["video"][row])
            batch["label"][row] = samples.label[number]
            batch["video_index"][row] = samples.video[number]
            batch["frame"][row] = samples.frame[number]
            batch["index"][row] = samples.index[number]
            batch["weight"][row] = 1
        return batch


@dataclasses.dataclass(frozen=True)
class _TrainingRows:
    """Reads some of this process's rows of the global training batch of a step."""

    plans: grain.MapDataset
    reader: _SampleReader
    augment: AugmentConfig
    batch_size: int
    rows: tuple[int, ...]

    def __call__(self, step: int, rows: slice, empty: Callable[..., np.ndarray]) -> Batch:
        first = int(step) * self.batch_size
        numbers, seeds = zip(*(self.plans[first + row] for row in self.rows[rows]), strict=True)

        def resize(row: int, frames: np.ndarray, out: np.ndarray) -> None:
            augment_clip(np.random.default_rng(seeds[row]), frames, self.augment, out)

        return self.reader.read(numbers, resize, empty)


@dataclasses.dataclass(frozen=True)
class _EvaluationRows:
    """Reads some of this process's rows of the global evaluation batch of a step."""

    reader: _SampleReader
    batch_size: int
    rows: tuple[int, ...]

    def __call__(self, step: int, rows: slice, empty: Callable[..., np.ndarray]) -> Batch:
        first = int(step) * self.batch_size
        numbers = [first + row for row in self.rows[rows]]
        return self.reader.read(numbers, lambda _, frames, out: resize_clip(frames, out), empty)
