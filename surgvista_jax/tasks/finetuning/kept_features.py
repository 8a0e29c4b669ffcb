"""The features that linear probes keep on disk: are those that are asked for there?

A file for each split holds features and labels, and the digest of what decides them.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from surgvista_jax.archives import UNREADABLE, check_members
from surgvista_jax.data.batches.division import Division
from surgvista_jax.data.dataset import Dataset, fingerprint
from surgvista_jax.data.video_files import files_of
from surgvista_jax.inference.computed import change_names, of_compute, of_data
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.ownership import Foreign, Ownership
from surgvista_jax.tasks.finetuning.task import Finetuning
from surgvista_jax.writing import replacing

FEATURES = "features"


def key_of(task: Finetuning, dataset: Dataset, origin: str) -> str:
    """What decides the features of a dataset; another key, and they are computed anew."""
    decisive = [
        fingerprint(dataset),
        [video.labels for video in dataset.videos],  # they are kept with the features
        origin,
        task.config.seed if origin == "random" else None,
        repr(task.model),
        repr(task.config.adapt),
        repr(task.clip),
        repr(task.config.head),
        task.config.compute.dtype,
        # The model tells of itself already.
        *change_names((*of_compute(task.config.compute), *of_data(dataset))),
    ]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def files_of_splits(kept: Ownership, division: Division) -> dict[str, Path]:
    """The file of each split's features, by the split's name.

    Raises:
        UserError: a split has no name for a file, or a file in the way holds no such features.
    """
    parts = (division.train, division.selection, division.test)
    names = [next(iter(part.splits)) for part in parts if part is not None]
    files = {}
    for name in dict.fromkeys(names):
        (path,) = files_of(kept.folder, [name.replace("/", "_")], ".npz")
        if os.path.lexists(path) and not (kept.overwrite or kept.named(path) or _is_ours(path)):
            raise Foreign(path)
        files[name] = path
    return files


def read(path: Path, key: str) -> Outputs | None:
    """Features that were kept, if they are those of the key and whole."""
    with contextlib.suppress(*UNREADABLE), _opened(path) as file:
        if str(file["key"]) == key:
            return Outputs(**{name: file[name] for name in Outputs._fields})
    return None


def _is_ours(path: Path) -> bool:
    """Whether a file holds features that a version without a record kept, whatever their key."""
    with contextlib.suppress(*UNREADABLE), _opened(path) as file:
        return len(str(file["key"])) == hashlib.sha256().digest_size * 2
    return False


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    check_members(path, ("key", *Outputs._fields))
    with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
        yield file


def write(kept: Ownership, path: Path, key: str, outputs: Outputs) -> None:
    """Keeps features under a key."""
    # What may be replaced was asked before; of ours also a file that has been damaged since.
    with replacing(path, dataclasses.replace(kept, overwrite=True)) as aside:
        np.savez(aside, key=np.array(key), **outputs._asdict())
