"""Which classes and videos of a dataset training never sees."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from surgvista_jax.data.dataset import UNLABELLED, Dataset
from surgvista_jax.data.labels.track import Label

SHOWN = 5  # names in a sentence


def class_counts(labels: Iterable[Label] | None, num_classes: int) -> np.ndarray:
    """Number of frames that show each class, int64 [C]."""
    counts = np.zeros(num_classes, np.int64)
    for label in labels or ():
        for class_id in label if isinstance(label, tuple) else (label,):
            if class_id != UNLABELLED:
                counts[class_id] += 1
    return counts


def classes_without_training(
    counts: Mapping[str, np.ndarray],
    splits: Mapping[str, Sequence[str]],
    classes: Sequence[str],
) -> dict[str, tuple[str, ...]]:
    """Training split -> the classes of which none of its frames is, where it lacks any.

    Args:
        counts: video -> frames of each class, [C].
        splits: as in dataset.json: `train` and `SCHEME/train` are for training.
        classes: names in the order of their ids.
    """
    lacking = {}
    for split, videos in splits.items():
        if split.rpartition("/")[2] != "train" or not classes:
            continue
        total = sum((counts[v] for v in videos if v in counts), np.zeros(len(classes), np.int64))
        if absent := tuple(name for name, count in zip(classes, total, strict=True) if not count):
            lacking[split] = absent
    return lacking


def in_no_split(dataset: Dataset) -> str | None:
    """Names the videos that no split holds, where there are splits; None if all are in one."""
    placed = {video for ids in dataset.splits.values() for video in ids}
    bare = [video.video for video in dataset.videos if video.video not in placed]
    if not bare or not placed:
        return None
    shown = ", ".join(bare[:8]) + (", …" if len(bare) > 8 else "")
    return f"{len(bare)} of {len(dataset.videos)} videos are in no split; no run sees them: {shown}"


def named(names: Sequence[str]) -> str:
    """The first of some names."""
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
