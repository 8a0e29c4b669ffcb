"""Splits of a dataset that comes without any: the same ones in every run."""

import dataclasses
from collections.abc import Mapping, Sequence

from surgvista_jax.data.dataset import TRAIN, UNLABELLED, Dataset, Video
from surgvista_jax.data.labels.splits import seeded_order
from surgvista_jax.errors import UserError

# Not the run's seed, so that runs of several seeds train and are tested on the same videos.
SEED = 0


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
            f"{lack}, and its {len(usable)} labelled videos"
            + (f" of {len(patients)} patients" if patients else "")
            + f" are too few to make {', '.join([TRAIN, *shares])}: config.data.test= tests on"
            " none, config.select_on=last selects on none"
        )
    parts = [f"{name} {len(made[name])} videos" for name in made]
    for number, (name, share) in enumerate(shares.items(), start=1):
        parts[number] += f" ({share:.0%}: {_named(made[name])})"
    how = "by patient" if patients else "by video, as no patients are known"
    spare = len(videos) - len(usable)
    note = f"{lack}; made {how}, with seed {SEED}: {', '.join(parts)}"
    note += f"; {spare} videos without labels are left out" if spare else ""
    return dataclasses.replace(dataset, splits=made), note


def make_splits(
    videos: Sequence[Video], shares: Mapping[str, float], seed: int = SEED
) -> dict[str, tuple[str, ...]] | None:
    """Draws splits by patient, where patients are known, else by video.

    A function of the seed, the ids and the patients alone: neither the order of the videos nor any
    library's version enters it.

    Args:
        videos: to be divided.
        shares: split -> its share of the videos, in (0, 1); rounded to one patient or more. The
            rest is "train".
        seed: of the draw.

    Returns:
        "train" and the splits of `shares` -> ids, ascending; None where there are fewer patients
        than splits.
    """
    groups: dict[str, list[str]] = {}
    whose = patients_of(videos)
    for video in videos:
        patient = whose.get(video.video)
        group = f"video {video.video}" if patient is None else f"patient {patient}"
        groups.setdefault(group, []).append(video.video)
    if len(groups) < len(shares) + 1:
        return None
    order = seeded_order(sorted(groups), seed)
    made: dict[str, tuple[str, ...]] = {}
    for number, (name, share) in enumerate(shares.items()):
        held: list[str] = []
        left = len(shares) - number  # one patient at least for each split to come, and for "train"
        while not held or (len(held) < round(share * len(videos)) and len(order) > left):
            held += groups[order.pop(0)]
        made[name] = tuple(sorted(held))
    return {TRAIN: tuple(sorted(video for group in order for video in groups[group])), **made}


def patients_of(videos: Sequence[Video]) -> dict[str, str]:
    """Video id -> its patient, where known, in the one spelling that stands for all of them."""
    spelled: dict[str, str] = {}
    for video in videos:
        if (key := video.patient_key) is not None and video.patient is not None:
            spelled[key] = min(spelled.get(key, video.patient), video.patient)
    return {v.video: spelled[v.patient_key] for v in videos if v.patient_key is not None}


def labelled(videos: Sequence[Video]) -> list[Video]:
    """Those with a label."""
    return [
        video
        for video in videos
        if video.labels is not None and any(label != UNLABELLED for label in video.labels)
    ]


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
