"""The command `surgvista figure comparison`: scores of several models as bars, for print."""

import argparse
from pathlib import Path

from surgvista_jax.figures.bars import draw_comparison
from surgvista_jax.figures.printed import add_output, owned_output, save
from surgvista_jax.studies.drawn import read_reports
from surgvista_jax.studies.drawn_bars import FAMILIES, comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reports",
        nargs="+",
        type=Path,
        metavar="REPORT",
        help="report.json files, or folders of reports and runs, of models on the same videos; or "
        "the folder of a study",
    )
    parser.add_argument("--score", default="", metavar="KEY", help="as in report.json [main one]")
    parser.add_argument(
        "--ours", default="", metavar="NAME", help="the model that is tested [first report's]"
    )
    parser.add_argument(
        "--family",
        choices=FAMILIES,
        default=FAMILIES[0],
        help="comparisons that Holm's adjustment covers: of the whole figure or of each panel"
        " [%(default)s]",
    )
    add_output(parser)


def main(arguments: argparse.Namespace) -> None:
    owned = owned_output(arguments)
    reports = read_reports(arguments.reports)
    panels, note = comparison(reports, arguments.score, arguments.ours, arguments.family)
    figure = draw_comparison(panels, note, arguments.width)
    for path in save(figure, arguments.out, owned):
        print(f"written: {path}")
