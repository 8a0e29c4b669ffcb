"""The command `surgvista figure confusion`: which classes models take for which, for print."""

import argparse
from pathlib import Path

from surgvista_jax.figures.confusion_matrices import draw_confusions
from surgvista_jax.figures.printed import WIDTHS, outputs, save
from surgvista_jax.ownership import add_overwrite, in_folder
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
        "--out", required=True, type=Path, help="NAME.pdf, NAME.png, or NAME for both"
    )
    parser.add_argument(
        "--panel", default="", metavar="DATASET[/MODE]", help="of a study [the first]"
    )
    parser.add_argument(
        "--width", choices=WIDTHS, default="single", help="one column of a journal, or two [single]"
    )
    add_overwrite(parser)


def main(arguments: argparse.Namespace) -> None:
    owned = in_folder(arguments.out.parent, arguments.overwrite)
    owned.check(outputs(arguments.out))
    found = evaluations(arguments.reports, arguments.panel)
    figure = draw_confusions(confusions(found), arguments.width)
    for path in save(figure, arguments.out, owned):
        print(f"written: {path}")
