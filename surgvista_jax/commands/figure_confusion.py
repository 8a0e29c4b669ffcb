"""The command `surgvista figure confusion`: which classes models take for which, for print."""

import argparse
from pathlib import Path

from surgvista_jax.figures.confusion_matrices import draw_confusions
from surgvista_jax.figures.printed import add_output, owned_output, save
from surgvista_jax.studies.drawn_videos import confusions, evaluations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reports",
        nargs="+",
        type=Path,
        metavar="REPORT",
        help="report.json files, or folders of reports and runs; or the folder of a study, of which"
        " the first seed of each backbone is drawn",
    )
    parser.add_argument(
        "--panel", default="", metavar="DATASET[/MODE]", help="of a study [the first]"
    )
    add_output(parser)


def main(arguments: argparse.Namespace) -> None:
    owned = owned_output(arguments)
    found = evaluations(arguments.reports, arguments.panel)
    figure = draw_confusions(confusions(found), arguments.width)
    for path in save(figure, arguments.out, owned):
        print(f"written: {path}")
