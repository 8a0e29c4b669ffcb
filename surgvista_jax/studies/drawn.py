"""What figures take from report.json files: those of evaluations, and that of a study."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.figures.bars import Bar
from surgvista_jax.json_object import read_object
from surgvista_jax.reports.names import names_of_systems
from surgvista_jax.reports.study_cells import STUDY, cell_at, names_of_cells
from surgvista_jax.studies.report import FORMAT, KIND

_PLACES = ("report.json", "report/report.json")
_KEYS = ("protocol", "system", "scores", "videos", "split")
_KEYS_OF_STUDY = ("panels", "tests", "weights", "ours")


def read_report(path: Path) -> dict[str, Any]:
    """A report.json, or that of a folder: a report's, a run's or a study's.

    Raises:
        UserError: there is none, or it is not one.
    """
    place = path
    if path.is_dir():
        found = [path / name for name in _PLACES if (path / name).is_file()]
        if not found:
            study = (path / STUDY).is_file()
            hint = f"; `surgvista study report {path}` writes it" if study else ""
            raise UserError(f"{path}: holds no {' and no '.join(_PLACES)}{hint}")
        place = found[0]
    report = read_object(place)
    keys = _KEYS_OF_STUDY if is_study(report) else _KEYS
    if missing := [key for key in keys if key not in report]:
        raise UserError(
            f"{place}: is no report of `surgvista evaluate` or `study report`: lacks {missing[0]!r}"
        )
    if is_study(report) and report.get("format") != FORMAT:
        raise UserError(
            f"{place}: another version wrote it; `surgvista study report` with the study's folder"
            " writes it anew"
        )
    return report


def read_reports(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The reports of several runs, or that of one study, with names that tell the runs apart.

    Cells of a study are called as it calls them; other runs as their reports do, or by where they
    lie where reports share a name.

    Raises:
        UserError: one is no report, or is given twice.
    """
    reports = [read_report(path) for path in paths]
    if any(map(is_study, reports)):
        return reports
    places = [[str(path)] for path in paths]
    cells = names_of_cells(places)
    names = cells or [str(report["system"]["name"]) for report in reports]
    if len(set(names)) < len(names):
        names = names_of_systems(places)
    for path, report, name in zip(paths, reports, names, strict=True):
        report["system"]["name"] = name
        if cell := cell_at(path):  # what the study calls it, not the folder it was converted into
            report["system"]["runs"][0]["meta"]["dataset"] = cell.dataset
    return reports


def is_study(report: dict[str, Any]) -> bool:
    return report.get("kind") == KIND


def bar(name: str, entry: dict[str, Any] | None, p_value: float, ours: bool) -> Bar:
    """The bar of a score as a report tells it; one without a value where there is no result."""
    if entry is None or entry["value"] is None:
        return Bar(name, float("nan"), p_value=float("nan"), ours=ours)
    factor = 100.0 if entry["percent"] else 1.0
    low, high = (
        float("nan") if entry[end] is None else factor * entry[end] for end in ("low", "high")
    )
    seeds = tuple(factor * value for value in (entry.get("seeds") or {}).get("values", ()))
    return Bar(name, factor * entry["value"], low, high, seeds, p_value, ours)


def axis_title(entry: dict[str, Any]) -> str:
    """A score with its unit."""
    lower = "" if entry["higher_is_better"] else ", lower is better"
    return f"{entry['title']}{' (%)' if entry['percent'] else ''}{lower}"


def known_scores(panels: Sequence[dict[str, Any]]) -> str:
    """The keys of the scores that a study's panels hold, in words."""
    keys = dict.fromkeys(found["key"] for panel in panels for found in panel["scores"])
    return f"there are {', '.join(keys) or 'none'}"


def units_words(units: Iterable[str]) -> str:
    """What intervals and tests are over: "videos", or of some reports "patients"."""
    found = set(units)
    if len(found) > 1:
        return "videos (patients where one has several)"
    return f"{found.pop()}s"


def bars_words(units: Iterable[str]) -> str:
    """What bars, points and lines of a figure are."""
    over = units_words(units)
    return f"Bars: means over seeds; points: seeds; lines: 95 % intervals over {over}."
