"""The command `surgvista figure confusion`: which classes models take for which, for print."""

import argparse

from surgvista_jax.figures.confusion_matrices import draw_confusions
from surgvista_jax.figures.printed import add_output, owned_output, save
from surgvista_jax.studies.drawn_videos import add_evaluations, confusions, evaluations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_evaluations(parser)
    add_output(parser)


def main(arguments: argparse.Namespace) -> None:
    owned = owned_output(arguments)
    found = evaluations(arguments.reports, arguments.panel)
    figure = draw_confusions(confusions(found), arguments.width)
    for path in save(figure, arguments.out, owned):
        print(f"written: {path}")
