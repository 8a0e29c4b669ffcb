"""The command `surgvista figure rings`: how much pretraining data shows what a task is of."""

import argparse
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.figures.printed import add_output, owned_output, save
from surgvista_jax.figures.rings import draw_rings
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.drawn_rings import of_folders, of_study

_NOTE = "Shares are of the frames that were pretrained on."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", nargs="?", type=Path, metavar="STUDY", help="a study's folder")
    parser.add_argument(
        "--pretraining", nargs="+", default=[], type=Path, metavar="FOLDER", help="or datasets"
    )
    parser.add_argument(
        "--downstream",
        nargs="+",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="and other datasets",
    )
    add_output(parser)


def main(arguments: argparse.Namespace) -> None:
    owned = owned_output(arguments)
    folders = arguments.pretraining, arguments.downstream
    if arguments.study and not any(folders):
        groups = of_study(collect(arguments.study))
    elif all(folders) and not arguments.study:
        groups = of_folders(*folders)
    else:
        raise UserError("give a study's folder; or --pretraining and --downstream, dataset folders")
    for path in save(draw_rings(groups, _NOTE, arguments.width), arguments.out, owned):
        print(f"written: {path}")
