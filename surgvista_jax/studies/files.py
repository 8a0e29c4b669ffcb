"""The files of a study's report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surgvista_jax.studies.page import study_page
from surgvista_jax.studies.tables import scores_csv, scores_latex, tests_csv
from surgvista_jax.writing import Guard, write_text

FOLDER = "report"  # in that of the study
REPORT = "report.json"
FILES: dict[str, Callable[[dict[str, Any]], str]] = {
    "report.html": study_page,
    "scores.csv": scores_csv,
    "tests.csv": tests_csv,
    "scores.tex": scores_latex,
    REPORT: lambda report: json.dumps(report, indent=1) + "\n",
}


def write_study_report(report: dict[str, Any], folder: Path, guard: Guard) -> None:
    """Writes the files, each whole or not at all; the guard is asked before one is replaced.

    Raises:
        UserError: one cannot be written, or what is there by now may not be replaced.
    """
    for name, text in FILES.items():
        write_text(folder / name, text(report), guard)
