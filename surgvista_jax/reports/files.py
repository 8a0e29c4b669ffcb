"""From files of predictions to the three files of a report."""

import json
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.reading import ReadingOptions, read_runs
from surgvista_jax.reports.build import System, build_report
from surgvista_jax.reports.markdown import markdown
from surgvista_jax.reports.names import names_of_systems
from surgvista_jax.reports.page import page
from surgvista_jax.writing import write_text


def report_files(files: Sequence[str], protocol: str) -> dict:
    """The report of prediction files alone: repeated runs over the same videos, or folds."""
    chosen = find(protocol)
    (name,) = names_of_systems([files])
    return build_report(chosen, System(name, read_runs(files, chosen, ReadingOptions())))


def write_report(report: dict, folder: Path) -> None:
    """Writes the three files, each whole or not at all; raises CannotWrite."""
    for name, text in (
        ("report.html", page(report)),
        ("report.md", markdown(report)),
        ("report.json", json.dumps(report, indent=1) + "\n"),
    ):
        write_text(folder / name, text)
