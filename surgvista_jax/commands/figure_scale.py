"""The command `surgvista figure scale`: two scores over amounts of pretraining data, for print."""

import argparse
from pathlib import Path

from surgvista_jax.figures.amounts import draw_amounts
from surgvista_jax.figures.printed import add_output, owned_output, save
from surgvista_jax.studies.drawn import read_report
from surgvista_jax.studies.drawn_amounts import amounts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="the folder of a study, after `study report`"
    )
    parser.add_argument(
        "--score", default="", metavar="KEY", help="by the left axis, as in report.json [main one]"
    )
    parser.add_argument("--second", default="", metavar="KEY", help="by the right axis [the next]")
    add_output(parser)


def main(arguments: argparse.Namespace) -> None:
    owned = owned_output(arguments)
    report = read_report(arguments.study)
    panels, note = amounts(report, arguments.score, arguments.second)
    figure = draw_amounts(panels, note, arguments.width)
    for path in save(figure, arguments.out, owned):
        print(f"written: {path}")
