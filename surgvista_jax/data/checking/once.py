"""Several datasets to be trained on as one: each operation is taken from the first that has it."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from surgvista_jax.data.checking.overlaps import shared_videos, unnamed_overlaps
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.mixture import mix, read_each
from surgvista_jax.errors import UserError

_NAMED = 5  # videos that a line names


class LeftOut(NamedTuple):
    """Videos of one dataset whose operations an earlier one shows.

    Attributes:
        dataset: the name of their folder.
        of: how many videos it has in all.
        videos: those that are left out.
        same_as: the name of the earlier one's folder.
    """

    dataset: str
    of: int
    videos: tuple[str, ...]
    same_as: str

    def in_words(self) -> str:
        more = ", …" if len(self.videos) > _NAMED else ""
        return (
            f"{len(self.videos)} of {self.of} videos of {self.dataset} are left out, as"
            f" {self.same_as} has their operations: {', '.join(self.videos[:_NAMED])}{more}"
        )


class Read(NamedTuple):
    """What is trained on.

    Attributes:
        dataset: all videos that are taken.
        left_out: those that are not, since their operations are taken already.
        told: what else is known of operations that come twice.
    """

    dataset: Dataset
    left_out: Sequence[LeftOut]
    told: Sequence[str]

    def remarks(self) -> list[str]:
        """What a run says of it, in lines."""
        takes = "; config.data.allow_overlap=true takes them too"
        twice = [f"{text}: it is not known which, so all are taken" for text in self.told]
        return [f"data: {each.in_words()}{takes}" for each in self.left_out] + [
            f"data: {text}" for text in twice
        ]


def read_once(
    folders: str, split: str | None = None, root: str = "", allow_overlap: bool = False
) -> Read:
    """Reads dataset folders as `read_folders` does, each operation once.

    Args:
        folders, split, root: as there.
        allow_overlap: takes all videos of all folders.

    Raises:
        UserError: what `read_folders` raises, or a folder of which nothing is left.
    """
    datasets = read_each(folders, split, root)
    if allow_overlap:
        return Read(mix(datasets), (), ())
    taken, left_out = each_operation_once(datasets)
    for dataset in taken:
        if not dataset.videos:
            name = dataset.folder.resolve().name
            others = ", ".join(each.same_as for each in left_out if each.dataset == name)
            raise UserError(
                f"{dataset.folder}: {others} has all its operations: leave it out of"
                " config.data.folder, or take them twice with config.data.allow_overlap=true"
            )
    return Read(mix(taken), left_out, not_told_apart(taken))


def each_operation_once(datasets: Sequence[Dataset]) -> tuple[list[Dataset], list[LeftOut]]:
    """Leaves out of each dataset the videos whose operation an earlier one shows.

    Several videos of one dataset may show one operation, as clips cut from it do, and stay.

    Returns:
        The datasets, of which some may have no video left, and what was left out.
    """
    taken: list[Dataset] = []
    left_out = []
    for dataset in datasets:
        gone: set[str] = set()
        for earlier in datasets[: len(taken)]:
            shared = shared_videos(dataset, earlier) - gone
            if shared:
                ids = tuple(video.video for video in dataset.videos if video.video in shared)
                names = dataset.folder.resolve().name, earlier.folder.resolve().name
                left_out.append(LeftOut(names[0], len(dataset.videos), ids, names[1]))
            gone |= shared
        taken.append(_without(dataset, gone))
    return taken, left_out


def not_told_apart(datasets: Sequence[Dataset]) -> list[str]:
    """What is told of operations that two of the datasets share, where it is not known which."""
    pairs = itertools.combinations(datasets, 2)
    return list(dict.fromkeys(text for pair in pairs for text in unnamed_overlaps(*pair)))


def _without(dataset: Dataset, gone: set[str]) -> Dataset:
    if not gone:
        return dataset
    return dataclasses.replace(
        dataset,
        videos=tuple(video for video in dataset.videos if video.video not in gone),
        splits={
            split: tuple(video for video in ids if video not in gone)
            for split, ids in dataset.splits.items()
        },
    )
