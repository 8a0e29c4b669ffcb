"""Which files of a run's folder are its run's, and may be replaced, shortened or gone on with?

A folder is a run's by its `config.json`. What grows as the run trains (checkpoints, metrics,
figures) is the run's in such a folder, and in any other somebody else's. What is written as a whole
is known by the record of the folder; in one that a version without a record began, it is the run's.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import jax

from surgvista_jax.books import check_place
from surgvista_jax.config.printing import KIND
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.ownership import Foreign, Ownership, in_folder, never

CONFIG = "config.json"
KINDS = ("pretraining", "finetuning", "temporal")
# Folders that a run restores from, deletes old steps in, and lets nobody replace.
_KEPT = ("checkpoints", "best")
# Keys of the configuration of a run of any version, and of those one that its kind has.
_OF_RUNS, _OF_KINDS = {"data", "seed"}, {"mask", "mode"}
_GROWING = re.compile(
    r"(metrics|evaluations|(skipped_steps|unreadable_frames)(\.\d+)?)\.jsonl"
    r"|standstill(\.\d+)?\.txt"
    r"|figures/[^/]*_\d{8,}\.png"
)


def ownership(workdir: Path, overwrite: bool) -> Ownership:
    """What a run may replace in its folder; of its processes, the first keeps the record."""
    earlier = _of_earlier_version if _is_earlier(workdir) else never
    return in_folder(workdir, overwrite, earlier, notes=jax.process_index() == 0)


def seeds_ownership(workdir: Path, overwrite: bool) -> Ownership:
    """What the runs of several seeds may replace in the folder that holds theirs."""
    folders = list(workdir.glob("seed*"))
    earlier = bool(folders) and all(map(_is_earlier, folders))
    return in_folder(workdir, overwrite, _of_earlier_version if earlier else never)


def check_run(owned: Ownership, whole: Iterable[str]) -> list[Path]:
    """Refuses a folder with what this run would replace and no run has written.

    Args:
        owned: from `ownership`.
        whole: the names of files that the run writes as a whole, `config.json` aside.

    Returns:
        Files that are in the way and shall be overwritten by lines that the run adds, and so have
        to go before it begins.

    Raises:
        UserError: naming the first of them; where the run would add lines there is a link.
    """
    workdir = owned.folder
    owned.check(workdir / name for name in whole)
    grown = sorted(path for path in _files(workdir) if _GROWING.fullmatch(_name(path, workdir)))
    if is_run(workdir):
        for path in (workdir / CONFIG, *grown):
            check_place(path)
        return []
    for name in _KEPT:
        path = workdir / name
        if path.is_dir() and any(path.iterdir()) or path.is_file():
            raise Foreign(path, "take another --workdir")
    for path in grown:
        if not owned.overwrite or path.is_dir():
            raise Foreign(path)
    owned.check([workdir / CONFIG])
    return grown


def is_run(workdir: Path) -> bool:
    """Whether the `config.json` of a folder is that of a run."""
    path = workdir / CONFIG
    if not path.is_file():
        return False
    if in_folder(workdir).named(path):
        return True
    try:
        values = read_object(path)
    except UserError:
        return False
    if KIND in values:
        return values[KIND] in KINDS
    groups = isinstance(values.get("data"), dict)
    return groups and values.keys() >= _OF_RUNS and not _OF_KINDS.isdisjoint(values)


def _is_earlier(workdir: Path) -> bool:
    """Whether a version that kept no record began the run of a folder."""
    return is_run(workdir) and not in_folder(workdir).named(workdir / CONFIG)


def _of_earlier_version(path: Path) -> bool:
    return True


def _files(workdir: Path) -> Iterable[Path]:
    for folder in (workdir, workdir / "figures"):
        if folder.is_dir():
            yield from folder.iterdir()


def _name(path: Path, workdir: Path) -> str:
    return os.path.relpath(path, workdir)
