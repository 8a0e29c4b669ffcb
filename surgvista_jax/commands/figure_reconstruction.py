"""The command `surgvista figure reconstruction`: what a pretrained student rebuilds of clips."""

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib.image import imsave

from surgvista_jax.errors import UserError
from surgvista_jax.figures.denormalise import STATISTICS, squared_errors
from surgvista_jax.figures.reconstruction_sheet import DPI, draw
from surgvista_jax.models.patches import patchify
from surgvista_jax.ownership import add_overwrite, in_folder
from surgvista_jax.tasks.pretraining.reconstruction import (
    figure_batch,
    make_caption,
    statistics_of,
)
from surgvista_jax.tasks.pretraining.saved_student import check_readable, saved_student
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.devices import start_devices
from surgvista_jax.writing import Guard, replacing

MOST_CLIPS = 16  # more would make a page that nothing can display


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        required=True,
        type=Path,
        metavar="DIR",
        help="a run's folder or its checkpoints/ (then its newest), or one checkpoint in there",
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        metavar="FOLDER",
        help="a dataset folder (default: the one that the run was trained on)",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.png")
    add_overwrite(parser)
    parser.add_argument(
        "--split", metavar="S", help="only its videos (default: all of the dataset)"
    )
    parser.add_argument("--video", metavar="ID", help="clips of this video only")
    parser.add_argument(
        "--frame", type=int, metavar="N", help="the clip that ends at this frame of --video"
    )
    parser.add_argument(
        "--clips",
        type=int,
        metavar="K",
        help="how many, evenly spread (default: 2); with --frame, that many masks of the one"
        " (default: 1)",
    )
    parser.add_argument(
        "--denormalise",
        choices=(*STATISTICS, "both"),
        help="whose mean and deviation hidden patches are shown with: those of visible neighbours,"
        f" which leaks nothing, or their own, as is usual (default: {STATISTICS[0]})",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of the masks (default: 0)"
    )


def main(arguments: argparse.Namespace) -> int:
    clips = arguments.clips
    if clips is None:
        clips = 2 if arguments.frame is None else 1
    if not 1 <= clips <= MOST_CLIPS:
        raise UserError(f"--clips={clips}: 1 to {MOST_CLIPS} fit on a page")
    if arguments.seed < 0:
        raise UserError(f"--seed={arguments.seed}: an integer from 0 on is needed")
    if arguments.out.suffix.lower() != ".png":
        raise UserError(f"--out={arguments.out}: the figure is a PNG: a name ending in .png")
    owned = in_folder(arguments.out.parent, arguments.overwrite)
    owned.check([arguments.out])
    start_devices()
    keep_compiled()
    student = saved_student(arguments.checkpoint)
    config, task, step = student.config, student.task, student.step
    dataset = student.dataset(arguments.dataset, arguments.split)
    batch = figure_batch(
        dataset,
        task,
        clips=clips,
        seed=arguments.seed,
        video=arguments.video,
        last=arguments.frame,
    )
    if warning := check_readable(dataset, batch):
        print(warning, file=sys.stderr)
    predicted = student.predict(batch)
    plain = config.objective.pixels == "plain"
    if plain and arguments.denormalise is not None:
        raise UserError(
            f"--denormalise={arguments.denormalise}: {student.run} predicts plain pixels, of which"
            " no normalisation is to be undone; leave the option out"
        )
    asked = arguments.denormalise or STATISTICS[0]
    image = draw(
        batch,
        predicted,
        make_caption(dataset, task, batch, step),
        tubelet=config.model.tubelet,
        patch=config.model.patch,
        statistics=statistics_of(task, STATISTICS if asked == "both" else (asked,)),
    )
    save_png(arguments.out, image, owned)
    patches = patchify(batch["video"], config.model.tubelet, config.model.patch)
    error, error_of_zeros = squared_errors(predicted, patches, batch["hidden_ids"], plain)
    print(
        f"{arguments.out}: step {step}, mean squared error of normalised pixels {error:.4f};"
        f" of predicting zeros {error_of_zeros:.4f}"
    )
    return 0


def save_png(path: Path, image: np.ndarray, guard: Guard | None = None) -> None:
    """Writes uint8 [H, W, 3], and the folders that lead there."""
    with replacing(path, guard) as aside:
        imsave(aside, image, format="png", dpi=DPI)
