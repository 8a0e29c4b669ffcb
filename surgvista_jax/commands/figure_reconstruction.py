"""What does a pretrained student rebuild of a dataset's clips?  `surgvista figure reconstruction`.

The figure of training and that of the command are made by the same three functions: clips that
no crop is drawn for (`figure_batch`), what the student says of them (`predict_pixels`, to be jitted
by whoever knows the mesh), and the page (`reconstruction_sheet.draw` with `make_caption`).
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.image import imsave

from surgvista_jax.config import build
from surgvista_jax.data.batches.clips import clip_frame_ids
from surgvista_jax.data.batches.masked import describe_clip, fixed_clips
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.mixture import read_folders
from surgvista_jax.errors import UserError
from surgvista_jax.figures.denormalise import STATISTICS, squared_errors
from surgvista_jax.figures.reconstruction_sheet import DPI, Caption, draw
from surgvista_jax.models.patches import patchify
from surgvista_jax.tasks.pretraining.task import PretrainConfig, Pretraining, make_pretraining
from surgvista_jax.training.checkpoint_files import (
    FOLDER,
    none_found,
    restore_params,
    saved_steps,
)
from surgvista_jax.training.rundir import read_config

MOST_CLIPS = 16  # more would make a page that nothing shows


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
        help="how many, evenly spread (default: 2); with --frame, so many masks of that one"
        " (default: 1)",
    )
    parser.add_argument(
        "--denormalise",
        choices=(*STATISTICS, "both"),
        default=STATISTICS[0],
        help="whose mean and deviation hidden patches are shown with: those of visible neighbours,"
        " which leaks nothing, or their own, as is usual (default: %(default)s)",
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
    run, step = find_checkpoint(arguments.checkpoint)
    config = build(PretrainConfig, read_config(run), f"{run / 'config.json'}: config")
    # The figure shows pixels: it needs no teacher, whose weights may be elsewhere.
    task = make_pretraining(dataclasses.replace(config, teacher=None))
    if arguments.dataset is not None:
        dataset = read_folders(str(arguments.dataset), arguments.split)
    else:
        dataset = read_folders(config.data.folder, arguments.split, config.data.root)
    batch = figure_batch(
        dataset,
        task,
        clips=clips,
        seed=arguments.seed,
        video=arguments.video,
        last=arguments.frame,
    )
    if replaced := int(batch["unreadable"].sum()):
        print(
            f"WARNING: {replaced} of {batch['unreadable'].size} frames could not be read;"
            " others stand in for them",
            file=sys.stderr,
        )
    params = jax.device_put(restore_params(run, step))
    predict = jax.jit(lambda params, clip: predict_pixels(task, params, clip))
    keys = ("video", "visible_ids", "hidden_ids")
    # Clip by clip, since a machine that draws may be smaller than one that trains.
    each = ({key: batch[key][row : row + 1] for key in keys} for row in range(clips))
    predicted = np.concatenate([np.asarray(predict(params, clip)) for clip in each])
    image = draw(
        batch,
        predicted,
        make_caption(dataset, task, batch, step),
        tubelet=config.model.tubelet,
        patch=config.model.patch,
        statistics=STATISTICS if arguments.denormalise == "both" else (arguments.denormalise,),
    )
    save_png(arguments.out, image)
    patches = patchify(batch["video"], config.model.tubelet, config.model.patch)
    error, error_of_zeros = squared_errors(predicted, patches, batch["hidden_ids"])
    print(
        f"{arguments.out}: step {step}, mean squared error of normalised pixels {error:.4f};"
        f" of predicting zeros {error_of_zeros:.4f}"
    )
    return 0


def figure_batch(
    dataset: Dataset,
    task: Pretraining,
    *,
    clips: int,
    seed: int,
    video: str | None = None,
    last: int | None = None,
) -> dict[str, np.ndarray]:
    """`data.pipeline.fixed_clips` for a run, with one mask a clip whatever it was trained with."""
    mask = dataclasses.replace(task.config.mask, masks_per_clip=1)
    return fixed_clips(
        dataset,
        task.config.clip,
        mask,
        grid=task.grid,
        count=clips,
        seed=seed,
        video=video,
        last=last,
    )


def predict_pixels(task: Pretraining, params: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """What the student says of the hidden patches: float32 [B, M, P] normalised pixels. Pure."""
    return task.predict(params, batch)[1].pixels


def make_caption(
    dataset: Dataset, task: Pretraining, batch: Mapping[str, np.ndarray], step: int
) -> Caption:
    """Says which clips a batch of `figure_batch` shows, and to whom."""
    clip, mask = task.config.clip, task.config.mask
    names = [describe_clip(dataset, int(index)) for index in batch["index"]]
    return Caption(
        dataset=f"{dataset.name} ({dataset.fps:g} fps)",
        step=step,
        mask=mask.kind,
        ratio=mask.ratio,
        videos=[video for video, _ in names],
        frame_ids=np.stack(
            [clip_frame_ids(last, clip.num_frames, clip.stride) for _, last in names]
        ),
    )


def find_checkpoint(folder: Path) -> tuple[Path, int]:
    """The run's folder and the step that a run's folder, its checkpoints/ or one of them means."""
    given = Path(os.path.abspath(folder))  # "." and ".." have names then; links stay
    if given.parent.name == FOLDER and given.name.isdecimal():
        run, step = given.parent.parent, int(given.name)
    else:
        run, step = (given.parent if given.name == FOLDER else given), None
    steps = saved_steps(run / FOLDER)
    if not steps or (step is not None and step not in steps):
        raise none_found(given if step is None else given.parent, step, steps)
    return run, steps[-1] if step is None else step


def save_png(path: Path, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 3], and the folders that lead there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        imsave(path, image, format="png", dpi=DPI)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
