"""Which videos is a model trained on, and on which is it selected?"""

import dataclasses

import numpy as np

from surgvista_jax.data.manifest import Dataset
from surgvista_jax.errors import UserError


def training_and_validation(
    dataset: Dataset, train: str, val: str, share: float, seed: int
) -> tuple[Dataset, Dataset, bool]:
    """The training and the validation videos, which are never those of a test.

    Where the dataset has no split `val`, a share of the training videos is held out: whole
    patients, where they are known, drawn by the seed alone.

    Args:
        dataset: with all its splits.
        train, val: names of splits.
        share: of the training videos to hold out, in (0, 1); rounded to at least one.
        seed: of the draw.

    Returns:
        Both datasets, and whether the second was held out.

    Raises:
        UserError: there is no such training split, or too little in it to hold anything out.
    """
    training = dataset.split(train)
    if val in dataset.splits and dataset.splits[val]:
        return training, dataset.split(val), False
    if not 0 < share < 1:
        raise UserError(
            f"{dataset.folder / 'dataset.json'}: no split {val!r}, and data.hold_out={share} holds"
            " nothing out: name a split to select on, or a share between 0 and 1"
        )
    groups: dict[str, list[str]] = {}
    for video in training.videos:
        groups.setdefault(video.patient or video.video, []).append(video.video)
    wanted = max(1, round(share * len(training.videos)))
    held: set[str] = set()
    names = sorted(groups)
    for number in np.random.default_rng(seed).permutation(len(names)):
        if len(held) >= wanted:
            break
        held.update(groups[names[number]])
    if len(held) == len(training.videos):
        raise UserError(
            f"{dataset.folder / 'dataset.json'}: split {train!r} has {len(groups)} patient(s), of"
            " whom none can be held out for validation; name a split of other videos"
        )
    parts = [
        dataclasses.replace(
            training,
            splits={name: tuple(video.video for video in chosen)},
            videos=tuple(chosen),
        )
        for name, chosen in (
            (train, [video for video in training.videos if video.video not in held]),
            (val, [video for video in training.videos if video.video in held]),
        )
    ]
    return parts[0], parts[1], True
