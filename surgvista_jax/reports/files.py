"""From files of predictions to the three files of a report."""

import json
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.reading import ReadingOptions, read_runs
from surgvista_jax.reports.build import System, build_report
from surgvista_jax.reports.markdown import markdown
from surgvista_jax.reports.page import page
from surgvista_jax.writing import write_text


def report_files(files: Sequence[str], protocol: str) -> dict:
    """The report of prediction files alone: repeated runs over the same videos, or folds."""
    chosen = find(protocol)
    return build_report(chosen, System(title_of(files), read_runs(files, chosen, ReadingOptions())))


def title_of(paths: Sequence[str]) -> str:
    """What tells the files apart: their names, else their folders' names, else the whole paths."""
    files = [Path(path).name for path in paths]
    folders = [Path(path).absolute().parent.name for path in paths]
    different = (names for names in (files, folders) if len(set(names)) == len(names))
    return " + ".join(next(different, paths))


def write_report(report: dict, folder: Path) -> None:
    """Writes the three files, each whole or not at all; raises CannotWrite."""
    for name, text in (
        ("report.html", page(report)),
        ("report.md", markdown(report)),
        ("report.json", json.dumps(report, indent=1) + "\n"),
    ):
        write_text(folder / name, text)
