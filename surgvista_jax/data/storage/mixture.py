"""Several dataset folders as one dataset to pretrain on."""

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError

SEPARATOR = ","


@dataclass(frozen=True)
class Mixture(Dataset):
    """Several datasets as one without labels; videos are called `<folder>/<video>`.

    Attributes:
        homes: id -> the folder and the entry that the video has in its own dataset.
    """

    homes: dict[str, tuple[Path, Video]]

    def places(self) -> list[tuple[Path, Video]]:
        return [self.homes[video.video] for video in self.videos]

    def parts(self) -> list[tuple[str, int]]:
        folders = (video.video.split("/")[0] for video in self.videos)
        return [(name, len(list(videos))) for name, videos in itertools.groupby(folders)]


def read_folders(folders: str, split: str | None = None, root: str = "") -> Dataset:
    """Reads one dataset folder, or several as one dataset: `mix` of `read_each`."""
    return mix(read_each(folders, split, root))


def read_each(folders: str, split: str | None = None, root: str = "") -> list[Dataset]:
    """Reads one dataset folder, or several.

    Args:
        folders: their paths, separated by commas.
        split: which of the splits of each, "train" of a folder without any split being all its
            videos; None: all videos.
        root: the folder below which relative paths lie.

    Raises:
        UserError: what `read_dataset` and `Dataset.part` raise, or a folder without a name.
    """
    paths = [Path(root, name.strip()) for name in folders.split(SEPARATOR)]
    if len(paths) > 1 and not all(name.strip() for name in folders.split(SEPARATOR)):
        raise UserError(f"{folders!r}: one of the folders between the commas has no name")
    datasets = [read_dataset(path) for path in paths]
    if split is not None:
        datasets = [dataset.part(split) for dataset in datasets]
    return datasets


def mix(datasets: Sequence[Dataset]) -> Dataset:
    """Joins datasets; what decides the clips is the same wherever the folders lie.

    Returns:
        A `Mixture`; of one dataset itself.

    Raises:
        UserError: two folders have one name, or the datasets are at different rates.
    """
    if len(datasets) == 1:
        return datasets[0]
    names = [dataset.folder.resolve().name for dataset in datasets]
    for index, name in enumerate(names):
        if name in names[:index]:
            first = datasets[names.index(name)].folder
            raise UserError(
                f"{datasets[index].folder}: a second folder called {name}, beside {first}; give "
                "one of them another name"
            )
    for dataset in datasets[1:]:
        if dataset.fps != datasets[0].fps:
            raise UserError(
                f"{dataset.folder}: is at {dataset.fps:g} frames a second, {datasets[0].folder} at "
                f"{datasets[0].fps:g}; convert one of them at the rate of the other"
            )
    videos, homes = [], {}
    for name, dataset in zip(names, datasets, strict=True):
        for video in dataset.videos:
            joined = replace(
                video,
                video=f"{name}/{video.video}",
                # As text, not as a path: an absolute source stays what it is.
                source=os.path.join(name, video.source),
                labels=None,
            )
            videos.append(joined)
            homes[joined.video] = dataset.folder, replace(video, labels=None)
    return Mixture(
        folder=Path(os.path.commonpath([dataset.folder.resolve() for dataset in datasets])),
        name=" + ".join(dataset.name for dataset in datasets),
        task="none",
        classes=(),
        label_kind="single",
        fps=datasets[0].fps,
        splits={"train": tuple(homes)},
        procedure="; ".join(_each_once(dataset.procedure for dataset in datasets)),
        licence="; ".join(_each_once(dataset.licence for dataset in datasets)),
        citation="; ".join(_each_once(dataset.citation for dataset in datasets)),
        source_format="mixture",
        videos=tuple(videos),
        homes=homes,
    )


def _each_once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
