"""Splits of a dataset that comes without any: the same ones in every run."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from surgvista_jax.counted import counted
from surgvista_jax.data.batches.class_spread import as_array, spread
from surgvista_jax.data.batches.patients import groups_of, lacking_in_words, shown_by
from surgvista_jax.data.dataset import TRAIN, UNLABELLED, Dataset, Video
from surgvista_jax.data.labels.splits import seeded_order
from surgvista_jax.errors import UserError

# Not the run's seed, so that runs of several seeds train and are tested on the same videos.
SEED = 0
_DRAWS = 5  # after which the best is taken


def lacks_splits(dataset: Dataset) -> bool:
    """Whether nothing says what to train on and what to test on: no split, or "train" alone."""
    return set(dataset.splits) <= {TRAIN}


def what_splits_there_are(dataset: Dataset) -> str:
    """In words, of a dataset that lacks splits."""
    return f"the split {TRAIN!r} alone" if dataset.splits else "no split"


def with_made_splits(dataset: Dataset, shares: Mapping[str, float]) -> tuple[Dataset, str]:
    """The dataset, of which `lacks_splits` is true, with "train" and splits of these shares.

    Returns:
        It and, in words, how they were made.

    Raises:
        UserError: there are too few videos or patients.
    """
    lack = f"{dataset.folder / 'dataset.json'}: has {what_splits_there_are(dataset)}"
    videos = dataset.split(TRAIN).videos if dataset.splits else dataset.videos
    if shares and not (min(shares.values()) > 0 and sum(shares.values()) < 1):
        raise UserError(
            f"{lack}, and config.data.hold_out={min(shares.values())} for each of"
            f" {', '.join(shares)} does not leave videos for all: name splits, or say a share"
            " between 0 and 0.5"
        )
    usable = labelled(videos)
    patients = {video.patient_key for video in usable} - {None}
    made = make_splits(usable, shares)
    if made is None:
        raise UserError(
            f"{lack}, and its {counted(len(usable), 'labelled video')}"
            + (f" of {counted(len(patients), 'patient')}" if patients else "")
            + f" are too few to make {', '.join([TRAIN, *shares])}: config.data.test= tests on"
            " none, config.select_on=last selects on none"
        )
    parts = [f"{name} {counted(len(made[name]), 'video')}" for name in made]
    for number, (name, share) in enumerate(shares.items(), start=1):
        parts[number] += f" ({share:.0%}: {_named(made[name])})"
    how = "by patient" if patients else "by video, as no patients are known"
    spare = len(videos) - len(usable)
    note = f"{lack}; made {how}, with seed {SEED}: {', '.join(parts)}"
    if lacks := lacking_in_words(made, usable, dataset.classes):
        note += f"; {lacks}"
    note += f"; {spare} videos without labels are left out" if spare else ""
    return dataclasses.replace(dataset, splits=made), note


def make_splits(
    videos: Sequence[Video], shares: Mapping[str, float], seed: int = SEED
) -> dict[str, tuple[str, ...]] | None:
    """Draws splits by patient, where patients are known, else by video.

    Patients change places until each split shows each class of which there are as many patients as
    splits, if that can be found; of other classes first "train", then the others in their order
    should have a patient (`class_spread`).

    A function of the seed, the ids, the patients and their classes alone: neither the order of the
    videos nor any library's version enters it.

    Args:
        videos: to be divided.
        shares: split -> its share of the videos, in (0, 1); rounded to one patient or more. The
            rest is "train".
        seed: of the draw.

    Returns:
        "train" and the splits of `shares` -> ids, ascending; None where there are fewer patients
        than splits.
    """
    groups = groups_of(videos)
    shown = {group: shown_by(members) for group, members in groups.items()}
    names = (TRAIN, *shares)
    if len(groups) < len(names):
        return None
    best, fewest = {}, math.inf
    for number in range(_DRAWS):
        order = seeded_order(sorted(groups), seed + number)
        sizes = [len(groups[group]) for group in order]
        drawn = _draw(sizes, shares)
        found, lacking = spread(as_array([shown[g] for g in order]), sizes, drawn, len(names))
        if lacking < fewest:
            best, fewest = dict(zip(order, found, strict=True)), lacking
        if not lacking:
            break
    return {
        name: tuple(
            sorted(v.video for group in groups for v in groups[group] if best[group] == number)
        )
        for number, name in enumerate(names)
    }


def _draw(sizes: Sequence[int], shares: Mapping[str, float]) -> list[int]:
    """The split of each group of so many videos: `shares` from 1 on, and 0 for the rest."""
    part = [0] * len(sizes)
    taken = 0
    for number, share in enumerate(shares.values(), start=1):
        held = 0
        left = len(shares) + 1 - number  # one at least for each split to come, and for the rest
        wanted = round(share * sum(sizes))
        while not held or (held < wanted and len(sizes) - taken > left):
            held += sizes[taken]
            part[taken] = number
            taken += 1
    return part


def labelled(videos: Sequence[Video]) -> list[Video]:
    """Those with a label."""
    return [
        video
        for video in videos
        if video.labels is not None and any(label != UNLABELLED for label in video.labels)
    ]


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
