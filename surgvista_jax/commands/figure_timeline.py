"""The command `surgvista figure timeline`: what models say of a video over its time, for print."""

import argparse

from surgvista_jax.figures.printed import add_output, owned_output, save
from surgvista_jax.figures.timelines import draw_timelines
from surgvista_jax.studies.drawn_videos import add_evaluations, evaluations, timelines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_evaluations(parser)
    parser.add_argument(
        "--video",
        nargs="+",
        default=[],
        metavar="ID",
        help="one or several [that in the middle by the first model's score]",
    )
    add_output(parser)


def main(arguments: argparse.Namespace) -> None:
    owned = owned_output(arguments)
    found = evaluations(arguments.reports, arguments.panel)
    videos, classes = timelines(found, arguments.video)
    figure = draw_timelines(videos, classes, arguments.width)
    for path in save(figure, arguments.out, owned):
        print(f"written: {path}")
