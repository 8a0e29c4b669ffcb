"""The command `surgvista figure distillation`: a clip rebuilt with and without a teacher."""

import argparse
import sys
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.figures.denormalise import STATISTICS
from surgvista_jax.figures.distillation_sheet import Rebuilt, draw_distillation
from surgvista_jax.figures.printed import add_output, owned_output, save
from surgvista_jax.reports.study_cells import STUDY
from surgvista_jax.studies.collect import collect
from surgvista_jax.tasks.pretraining.reconstruction import (
    figure_batch,
    make_caption,
    statistics_of,
)
from surgvista_jax.tasks.pretraining.saved_student import (
    SavedStudent,
    check_readable,
    saved_student,
)
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.devices import start_devices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="two pretraining runs or checkpoints, with a teacher and without; or a study's folder",
    )
    parser.add_argument("--setting", default="", help="of a study [the first that has both]")
    parser.add_argument(
        "--dataset", type=Path, metavar="FOLDER", help="of the clip [what the first run trained on]"
    )
    parser.add_argument("--split", metavar="S", help="only its videos [all]")
    parser.add_argument("--video", metavar="ID", help="a clip of this video [one in the middle]")
    parser.add_argument(
        "--frame", type=int, metavar="N", help="the clip that ends there, of --video"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the mask [0]")
    parser.add_argument(
        "--denormalise", choices=STATISTICS, default=STATISTICS[0], help="[%(default)s]"
    )
    add_output(parser, "double")


def main(arguments: argparse.Namespace) -> None:
    if arguments.seed < 0:
        raise UserError(f"--seed={arguments.seed}: an integer from 0 on is needed")
    owned = owned_output(arguments)
    paths = arguments.runs
    if len(paths) == 1:
        paths = _runs_of_study(paths[0], arguments.setting)
    elif len(paths) != 2 or arguments.setting:
        raise UserError("two runs are drawn, with and without a teacher; or a study's folder")
    start_devices()
    keep_compiled()
    students = [saved_student(path) for path in paths]
    first = students[0]
    for other in students[1:]:
        _check_alike(first, other)
    dataset = first.dataset(arguments.dataset, arguments.split)
    batch = figure_batch(
        dataset,
        first.task,
        clips=1,
        seed=arguments.seed,
        video=arguments.video,
        last=arguments.frame,
    )
    if warning := check_readable(dataset, batch):
        print(warning, file=sys.stderr)
    caption = make_caption(dataset, first.task, batch, first.step)
    steps = " and ".join(dict.fromkeys(f"{student.step:,}" for student in students))
    note = (
        f"{caption.videos[0]} of {caption.dataset}, {caption.mask} mask, ratio {caption.ratio:g}; "
        f"after {steps} steps. Statistics of hidden patches: {arguments.denormalise}."
    )
    figure = draw_distillation(
        batch,
        [_rebuilt(student, batch, arguments.denormalise) for student in students],
        first.task.grid,
        note,
        tubelet=first.config.model.tubelet,
        patch=first.config.model.patch,
        frame_ids=[int(frame) for frame in caption.frame_ids[0]],
        width=arguments.width,
    )
    for path in save(figure, arguments.out, owned):
        print(f"written: {path}")


def _rebuilt(student: SavedStudent, batch: Any, asked: str) -> Rebuilt:
    name = "without teacher" if student.config.teacher is None else "with teacher"
    (statistics,) = statistics_of(student.task, (asked,))
    plain = student.config.objective.pixels == "plain"
    return Rebuilt(name, student.predict(batch), statistics, plain)


def _check_alike(first: SavedStudent, other: SavedStudent) -> None:
    """Refuses students that cannot be shown one masked clip."""
    for key in ("clip.num_frames", "clip.stride", "clip.size", "model.tubelet", "model.patch"):
        part, name = key.split(".")
        a, b = (getattr(getattr(s.config, part), name) for s in (first, other))
        if a != b:
            raise UserError(
                f"{first.run} has {key}={a}, {other.run} {b}: both have to see the same clip"
            )


def _runs_of_study(folder: Path, setting: str) -> list[Path]:
    """The runs of a study's setting, with a teacher and without.

    Raises:
        UserError: it is no study's folder, or no setting has both.
    """
    if not (folder / STUDY).is_file():
        raise UserError(f"{folder}: is no study; give two runs, with a teacher and without")
    runs: dict[str, dict[bool, Path]] = {}
    for made in collect(folder).pretrainings:
        runs.setdefault(made["setting"], {}).setdefault(made["teacher"], folder / made["folder"])
    both = [name for name, found in runs.items() if len(found) == 2]
    if not both or (setting and setting not in both):
        asked = f"--setting={setting}" if setting else "no setting"
        raise UserError(
            f"{folder}: {asked} was pretrained with a "
            f"teacher and without; settings that were: {', '.join(both) or 'none'}"
        )
    chosen = runs[setting or both[0]]
    return [chosen[True], chosen[False]]
