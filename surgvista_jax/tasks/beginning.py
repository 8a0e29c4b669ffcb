"""What a run says of its data before it trains, once, whatever the number of its processes."""

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path

import jax

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.division import Division
from surgvista_jax.data.cautions import long_clip, never_learnt
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.errors import UserError
from surgvista_jax.ownership import Ownership
from surgvista_jax.training.rundir import begun_config
from surgvista_jax.writing import write_text

SPLITS = "splits.csv"


def say(text: str) -> None:
    """Prints a line, if this is process 0."""
    if jax.process_index() == 0:
        print(text, file=sys.stderr)


def warn(text: str | None) -> None:
    """Prints a warning, if there is one and this is process 0."""
    if text:
        say(f"WARNING: {text}")


def warn_of_memory(check: Callable[[], str | None], checked: bool, workdir: Path) -> None:
    """Prints what a check of memory says; a run that goes on is warned where it would be refused.

    Args:
        check: what it says, or a UserError.
        checked: whether it is asked for (`compute.check_memory`).
        workdir: the run's folder.

    Raises:
        UserError: a run that begins clearly cannot fit.
    """
    if not checked:
        return
    try:
        warn(check())
    except UserError as error:
        if begun_config(workdir) is None:
            raise UserError(f"{error}; or config.compute.check_memory=false") from None
        warn(str(error))


def tell_division(owned: Ownership, division: Division) -> None:
    """Says what is trained, selected and tested on; splits that were made are written too.

    They stand in `splits.csv` of the run's folder, which `data convert videos --splits` reads.

    Raises:
        UserError: the file cannot be written, or may not be replaced.
    """
    if not division.made:
        say(division.summary())
        return
    path = owned.folder / SPLITS
    say(f"{division.summary()}; the splits are in {path}")
    if jax.process_index() == 0:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("video", "split"))
        rows.writerows((video, split) for split, ids in division.made.items() for video in ids)
        write_text(path, text.getvalue(), owned)


def warn_of_data(train: Dataset, clip: ClipConfig | None, key: str = "config.clip") -> None:
    """Warns of clips that are longer than most videos, and of classes that no video shows.

    Args:
        train: the videos that are trained on.
        clip: what is seen of them; None where whole videos are.
        key: where the user says the clip.
    """
    long = None
    if clip is not None:
        long = long_clip(train.videos, clip.num_frames, clip.stride, clip.sampling, key)
    for text in filter(None, (long, never_learnt(train))):
        warn(text)
