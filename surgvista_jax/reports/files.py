"""From files of predictions to the three files of a report."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.ownership import Ownership, in_folder
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.predictions.reading import ReadingOptions, read_runs
from surgvista_jax.reports.build import System, build_report
from surgvista_jax.reports.markdown import markdown
from surgvista_jax.reports.mistake_page import Pictures
from surgvista_jax.reports.names import names_of_systems, with_mode
from surgvista_jax.reports.page import page
from surgvista_jax.writing import Guard, write_text

FILES: dict[str, Callable[[dict, Pictures], str]] = {
    "report.html": page,
    "report.md": lambda report, _: markdown(report),
    "report.json": lambda report, _: json.dumps(report, indent=1) + "\n",
}


def report_files(files: Sequence[str], protocol: str) -> dict:
    """The report of prediction files alone: repeated runs over the same videos, or folds."""
    chosen = find(protocol)
    (name,) = names_of_systems([files])
    return build_report(chosen, named_system(name, read_runs(files, chosen, ReadingOptions())))


def named_system(name: str, runs: list[Predictions]) -> System:
    """A system by the name of its files and how it was trained."""
    return System(with_mode(name, [run.meta for run in runs]), runs)


def report_folder(folder: Path, overwrite: bool) -> Ownership:
    """What a report may replace in its folder.

    Raises:
        UserError: a file in the way may not be replaced.
    """

    def earlier(path: Path) -> bool:
        """Whether a version without a record wrote it: it would be written so again."""
        try:
            report = read_object(folder / "report.json")
            if not str(report.get("made_by")).startswith("surgvista_jax "):
                return False
            return path.read_text(encoding="utf-8") == FILES[path.name](report, {})
        except (UserError, OSError, ValueError, LookupError, TypeError, AttributeError):
            return False  # a report of another form

    owned = in_folder(folder, overwrite, earlier)
    owned.check(folder / name for name in FILES)
    return owned


def write_report(
    report: dict, folder: Path, guard: Guard, pictures: Pictures | None = None
) -> None:
    """Writes the three files, each whole or not at all; the guard is asked before one is replaced.

    Args:
        pictures: of mistakes, for the page.

    Raises:
        UserError: one cannot be written, or what is there by now may not be replaced.
    """
    for name, text in FILES.items():
        write_text(folder / name, text(report, pictures or {}), guard)
