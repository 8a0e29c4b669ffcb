"""What the figures of timelines and confusions take from reports of evaluations."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near
from surgvista_jax.figures.confusion_matrices import MOST_CLASSES, Confusion
from surgvista_jax.figures.timelines import Ribbon, Timeline
from surgvista_jax.reports.names import MODES
from surgvista_jax.reports.ribbons import segments
from surgvista_jax.reports.study_cells import STUDY
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.drawn import is_study, read_reports

Named = tuple[str, dict[str, Any]]


def add_evaluations(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `evaluations`, as `reports` and `panel`."""
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


def evaluations(paths: Sequence[Path], panel: str = "") -> list[Named]:
    """(name, report of an evaluation) of each path; of a study one of each backbone.

    Args:
        paths: of reports and runs, or one study's folder.
        panel: DATASET or DATASET/MODE of a study; "": its first that has reports.

    Raises:
        UserError: one is no report, or the study has no such panel with reports.
    """
    if len(paths) == 1 and (paths[0] / STUDY).is_file():
        return _of_study(paths[0], panel)
    if panel:
        raise UserError(f"--panel={panel}: is of a study's folder, given alone")
    reports = read_reports(paths)
    for path, report in zip(paths, reports, strict=True):
        if is_study(report):
            raise UserError(f"{path}: is the report of a study; give the study's folder")
    return [(report["system"]["name"], report) for report in reports]


def _of_study(folder: Path, panel: str) -> list[Named]:
    panels = collect(folder).panels()
    wanted = [
        cells
        for (dataset, mode), cells in panels.items()
        if panel in ("", dataset, f"{dataset}/{mode}")
    ]
    for cells in wanted:
        of_weights: dict[str, Path] = {}
        for cell in cells:
            if not cell.lacks and (cell.folder / "report/report.json").is_file():
                of_weights.setdefault(cell.weights, cell.folder)
        if of_weights:
            return evaluations(list(of_weights.values()))
    there = [f"{dataset}/{mode}" for dataset, mode in panels]
    if panel and not wanted:
        raise UserError(f"--panel={panel}{near(panel, there)}: there are {', '.join(there)}")
    raise UserError(f"{folder}: no run of {panel or 'the study'} has a report yet")


def timelines(
    found: Sequence[Named], videos: Sequence[str] = ()
) -> tuple[list[Timeline], tuple[str, ...]]:
    """Rows of truth and of every model for each video, and the names of the classes.

    Args:
        videos: their ids; none: the one in the middle by the first report's score.

    Raises:
        UserError: reports of other videos or classes, or without courses of one class a moment.
    """
    for name, report in found:
        ribbons = report.get("ribbons")
        if not ribbons or any("lanes" in item for item in ribbons["items"]):
            raise UserError(
                f"{name}: its report has no courses with one class a moment; a timeline needs them"
            )
    first = found[0][1]["ribbons"]
    for name, report in found[1:]:
        if report["ribbons"]["classes"] != first["classes"]:
            raise UserError(f"{name} and {found[0][0]} have other classes; both need the same")
    items = {item["video"]: item for item in first["items"]}
    if unknown := [video for video in videos if video not in items]:
        known = ", ".join(list(items)[:5])
        raise UserError(
            f"--video={unknown[0]}{near(unknown[0], [*items])}: the report has {known}"
            f"{', …' if len(items) > 5 else ''}"
        )
    if not videos:
        ranked = sorted(items.values(), key=lambda item: (item["value"] or 0.0, item["video"]))
        videos = [ranked[len(ranked) // 2]["video"]]
    drawn = [_timeline(found, video, items[video], first["step"]) for video in videos]
    return drawn, tuple(first["classes"])


def _timeline(found: Sequence[Named], video: str, item: dict[str, Any], step: float) -> Timeline:
    rows = [Ribbon("truth", _seconds(item["truth"], step))]
    for name, report in found:
        ribbons = report["ribbons"]
        own = next((other for other in ribbons["items"] if other["video"] == video), None)
        if own is None or _seconds(own["truth"], ribbons["step"]) != rows[0].segments:
            raise UserError(f"{name} and {found[0][0]} have not the same truth of {video}")
        value = own["value"]
        for at, text in enumerate(own["systems"]):
            note = f"{100 * value:.1f}" if at == 0 and value is not None else ""
            called = name if at == 0 else ribbons["systems"][at]
            rows.append(Ribbon(called, _seconds(text, ribbons["step"]), note))
    about = [_about(report) for _, report in found]
    title = ", ".join([video, *(words for words in about[0] if all(words in a for a in about))])
    score = found[0][1]["ribbons"]["score"]
    notes = f"{score} (%)" if score else ""
    return Timeline(title, item["steps"] * step, tuple(rows), notes)


def _about(report: dict[str, Any]) -> list[str]:
    """The dataset, mode and seed of what a report draws, its first run; as far as it says them."""
    meta = report["system"]["runs"][0]["meta"]
    seed = f"seed {meta['seed']}" if meta.get("seed") is not None else ""
    return [words for words in (meta.get("dataset"), meta.get("mode"), seed) if words]


def _seconds(text: str, step: float) -> tuple[tuple[int, float, float], ...]:
    return tuple((k, step * start, step * end) for k, start, end in segments(text))


def confusions(found: Sequence[Named]) -> list[Confusion]:
    """The matrix of each report.

    Raises:
        UserError: one has none, or too many classes to be drawn.
    """
    drawn = []
    for name, report in found:
        matrix = report.get("confusion")
        if not matrix:
            raise UserError(f"{name}: has no confusion matrix: its frames may have several classes")
        if len(matrix["classes"]) > MOST_CLASSES:
            raise UserError(
                f"{name}: {len(matrix['classes'])} classes; at most {MOST_CLASSES} can be drawn"
            )
        said = [*name.split(", "), *(key for key, words in MODES.items() if words in name)]
        title = ", ".join([name, *(words for words in _about(report) if words not in said)])
        drawn.append(Confusion(title, tuple(matrix["classes"]), np.array(matrix["counts"])))
    return drawn
