"""How do users say that predictions are smoothed over time?"""

import argparse
import dataclasses

from surgvista_jax.data.dataset import TRAIN
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.trained import Meaning
from surgvista_jax.predictions.smoothing import KINDS, Smoothing
from surgvista_jax.predictions.transitions import Transitions, transitions_of

_WINDOW = 15.0  # seconds
_LONGEST = 86_400.0


def add_smoothing(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    smoothing = parser.add_argument_group("smoothing over the time of a video")
    smoothing.add_argument(
        "--smooth",
        choices=KINDS,
        help="median: of each class over a window; viterbi: the best path, by how often classes"
        " followed one another in training (default: none)",
    )
    smoothing.add_argument(
        "--causal", action="store_true", help="smooth by what came before alone, as in an operation"
    )
    smoothing.add_argument(
        "--window", type=float, metavar="SECONDS", help=f"of the median ({_WINDOW:g})"
    )
    smoothing.add_argument(
        "--transitions",
        metavar="DATASET",
        help="dataset folder on whose training labels viterbi counts (those of the run)",
    )


def smoothing_of(
    arguments: argparse.Namespace, meaning: Meaning, counted: Transitions | None
) -> Smoothing | None:
    """What was asked for; None where nothing was.

    Args:
        arguments: with the options of `add_smoothing`.
        meaning: of the predictions.
        counted: what the model's run counted, if it did.

    Raises:
        UserError: options that do not belong together, or fit neither the model nor the dataset.
    """
    kind = arguments.smooth
    for option, belongs in (("window", "median"), ("transitions", "viterbi")):
        if getattr(arguments, option) is not None and kind != belongs:
            raise UserError(f"--{option}: is of --smooth={belongs}")
    if kind is None:
        if arguments.causal:
            raise UserError("--causal: is of --smooth; each clip sees the past alone anyway")
        return None
    if meaning.clip.sampling == "uniform":
        raise UserError(
            f"--smooth={kind}: the model says one thing of a whole video, which has no course"
        )
    several = meaning.label_kind != "single"
    if kind == "median":
        seconds = _WINDOW if arguments.window is None else arguments.window
        if not 0 < seconds <= _LONGEST:
            raise UserError(
                f"--window {seconds:g}: should be seconds above 0, at most {_LONGEST:g}"
            )
        reach = max(0, round((seconds * meaning.fps - 1) / 2))
        return Smoothing(kind, arguments.causal, 2 * reach + 1, several)
    if several:
        raise UserError(
            "--smooth=viterbi: the model's classes may hold together, where paths are of one class"
            " at a time; take --smooth=median"
        )
    if arguments.transitions is not None:
        counted = _of_dataset(arguments.transitions, meaning)
    if counted is None:
        raise UserError(
            "--smooth=viterbi: these weights do not know how classes follow one another; say"
            " --transitions=DATASET, the dataset folder of their training"
        )
    return Smoothing(kind, arguments.causal, transitions=counted)


def _of_dataset(folder: str, meaning: Meaning) -> Transitions:
    dataset = read_dataset(folder)
    if dataset.classes != meaning.classes:
        raise UserError(
            f"--transitions={folder}: has other classes ({', '.join(dataset.classes)}) than the"
            f" model ({', '.join(meaning.classes)})"
        )
    if dataset.fps != meaning.fps:
        raise UserError(
            f"--transitions={folder}: has {dataset.fps:g} labels a second, the model was trained on"
            f" {meaning.fps:g}; convert it at that rate"
        )
    part = dataset if dataset.splits and TRAIN not in dataset.splits else dataset.part(TRAIN)
    counted = transitions_of(part)
    if counted is None:
        raise UserError(f"--transitions={folder}: has no labels of one class a frame")
    where = "all" if part is dataset else TRAIN
    return dataclasses.replace(counted, source=f"{dataset.name}, {where}")
