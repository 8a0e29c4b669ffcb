"""The contents of a study's report: one dictionary from which its page and tables are made.

Values are fractions unless a score says percent=False; NaN becomes null.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from surgvista_jax import __version__
from surgvista_jax.errors import UserError
from surgvista_jax.metrics.intervals import LEVEL, Draws, draw
from surgvista_jax.reports.build import plain, protocol_entry, score_entry
from surgvista_jax.reports.comparison import check_same_frames, compare
from surgvista_jax.studies.collect import Study
from surgvista_jax.studies.panels import Panel, System, lacks_protocol, protocol_of, read_panel
from surgvista_jax.studies.pretraining_data import parts_of, total_frames
from surgvista_jax.studies.protocol_facts import answers, averaging, facts
from surgvista_jax.studies.statistics import Pair, holm_by, pairs
from surgvista_jax.studies.summaries import datasets_entries, groups_entries
from surgvista_jax.studies.units import Units, patients_in, units_of

FORMAT = 2  # since panels say what was drawn
KIND = "study"
About = Callable[[Path], Mapping[str, Any]]


def build_study_report(
    study: Study,
    *,
    samples: int = 1000,
    seed: int = 0,
    about: About = lambda folder: {},
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Scores every finished cell and compares backbones on the same videos.

    Args:
        samples, seed: of the bootstrap.
        about: what the checkpoint of a run's folder says of its model.
        say: is told what is read next.

    Raises:
        UserError: no cell is finished.
    """
    asked = pairs(study)
    patients: dict[str, Mapping[str, str] | None] = {}
    tests: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    lacking: list[dict[str, str]] = []
    notes: list[str] = []
    for (dataset, mode), cells in study.panels().items():
        say(f"{dataset}, {mode}: {sum(not cell.lacks for cell in cells)} of {len(cells)} runs")
        if (protocol := protocol_of(cells)) is None:
            lacking += [{"cell": c.name, "why": c.lacks or lacks_protocol(c)} for c in cells]
            continue
        panel = read_panel(cells, protocol)  # one at a time: memory holds no more predictions
        if dataset not in patients:
            patients[dataset] = patients_in(study, dataset)
        drawn = {
            name: _drawn(system, patients[dataset], samples, seed)
            for name, system in panel.systems.items()
        }
        entries.append(_panel_entry(panel, drawn, about))
        tests += _tests(panel, asked, drawn)
        lacking += panel.lacking
        notes += panel.notes
    if len(lacking) == len(study.cells):
        first = lacking[0]
        raise UserError(
            f"{study.folder}: none of its {len(study.cells)} cells has a result yet;"
            f" {first['cell']}: {first['why']}"
        )
    _adjust(tests)
    report = {
        "format": FORMAT,
        "kind": KIND,
        "made_by": f"surgvista_jax {__version__}",
        "study": study.name,
        "title": study.title,
        "digest": study.digest,
        "ours": study.ours,
        "planned": len(study.cells),
        "finished": len(study.cells) - len(lacking),
        "lacking": lacking,
        "bootstrap": {"samples": samples, "seed": seed, "level": LEVEL},
        "weights": [_weights_entry(study, name) for name in study.weights],
        "panels": entries,
        "groups": groups_entries(entries, study.weights),
        "tests": [_flat(test) for test in tests],
        "over_datasets": datasets_entries(tests, asked),
        "notes": list(dict.fromkeys(notes)),
    }
    return plain(report)


def _drawn(
    system: System, patients: Mapping[str, str] | None, samples: int, seed: int
) -> tuple[Units, Draws]:
    """What is drawn, the same for every system of a panel on the same videos."""
    videos = system.runs[0].videos
    units = units_of(videos, patients)
    return units, draw(len(videos), samples, seed, cluster=units.cluster)


def _panel_entry(
    panel: Panel, drawn: Mapping[str, tuple[Units, Draws]], about: About
) -> dict[str, Any]:
    first = panel.first
    rows = []
    for name in dict.fromkeys(cell.weights for cell in panel.cells):
        cells = [cell for cell in panel.cells if cell.weights == name]
        row: dict[str, Any] = {
            "weights": name,
            "seeds_planned": [cell.seed for cell in cells],
            "seeds": [],
            "scores": {},
        }
        if system := panel.systems.get(name):
            draws = drawn[name][1]
            row["seeds"] = [cell.seed for cell in system.cells]
            row["scores"] = {
                score.key: score_entry(score, system.evaluations, draws, panel.protocol)
                for score in system.scores
            }
        rows.append(row)
    entry: dict[str, Any] = {
        "dataset": first.dataset,
        "task": first.task,
        "group": first.group,
        "mode": first.mode,
        "protocol": protocol_entry(panel.protocol),
        "main": panel.main,
        "rows": rows,
        "scores": [],
        "facts": answers(
            {
                name: [
                    facts(cell, run, panel.protocol, about(cell.folder))
                    for cell, run in zip(system.cells, system.runs, strict=True)
                ]
                for name, system in panel.systems.items()
            }
        ),
    }
    if system := next(iter(panel.systems.values()), None):
        run, (units, draws) = system.runs[0], drawn[system.name]
        entry |= {
            "unit": units.name,
            "num_units": draws.counts.shape[1],
            "why_unit": units.why,
            "split": panel.protocol.recognise_split(run.videos, len(run.frame)),
            "videos": len(run.videos),
            "frames": len(run.frame),
            "scores": [
                {
                    "key": score.key,
                    "title": score.title,
                    "percent": score.percent,
                    "higher_is_better": score.higher_is_better,
                    "averaging": averaging(score),
                }
                for score in system.scores
            ],
        }
    return entry


def _tests(
    panel: Panel, asked: Sequence[Pair], drawn: Mapping[str, tuple[Units, Draws]]
) -> list[dict[str, Any]]:
    """Each pair on each main score of a panel, as far as both are there."""
    found = []
    for pair in asked:
        ours, theirs = (panel.systems.get(name) for name in (pair.ours, pair.theirs))
        if ours is None or theirs is None:
            continue
        where = f"{panel.first.dataset}, {panel.first.mode}"
        try:
            check_same_frames(ours.runs[0], theirs.runs[0])
        except UserError as error:
            panel.notes.append(f"{where}: {pair.ours} and {pair.theirs} are not compared: {error}")
            continue
        if len(ours.cells) != len(theirs.cells):
            panel.notes.append(
                f"{where}: {pair.ours} is the mean of {len(ours.cells)} finished seeds, "
                f"{pair.theirs} of {len(theirs.cells)}, and a mean of more seeds is steadier."
            )
        units, draws = drawn[pair.ours]
        by_key = {score.key: score for score in theirs.scores}
        for score in ours.scores:
            if score.key not in by_key:
                continue
            item = compare(pair.theirs, score, by_key[score.key], draws, units.cluster)
            found.append(
                {
                    "dataset": panel.first.dataset,
                    "group": panel.first.group,
                    "mode": panel.first.mode,
                    "ours": pair.ours,
                    "theirs": pair.theirs,
                    "why": pair.why,
                    "key": score.key,
                    "title": score.title,
                    "percent": score.percent,
                    "main": score.key == panel.main,
                    "unit": units.name,
                    "value_ours": item.ours,
                    "value_theirs": item.theirs,
                    "difference": item.difference,
                    "one_sided": item.one_sided,
                    "two_sided": item.two_sided,
                    "untested": item.untested,
                }
            )
    return found


def _adjust(tests: list[dict[str, Any]]) -> None:
    """Holm over the comparisons of one score on one dataset, and over all datasets of the study.

    Over the study, the main scores of all datasets are one family, and so is each further score.
    """

    def of_panel(test: dict) -> tuple:
        return test["dataset"], test["mode"], test["key"]

    def of_study(test: dict) -> str:
        return "" if test["main"] else test["key"]

    for side in ("one_sided", "two_sided"):
        holm_by(tests, of_panel, f"holm_dataset_{side}", side)
        holm_by(tests, of_study, f"holm_study_{side}", side)


def _flat(test: dict[str, Any]) -> dict[str, Any]:
    parts = {}
    for key in ("difference", "one_sided", "two_sided"):
        parts[key] = None if test[key] is None else asdict(test[key])
    return test | parts


def _weights_entry(study: Study, name: str) -> dict[str, Any]:
    cell = next(cell for cell in study.cells if cell.weights == name)
    before = next((p for p in study.pretrainings if p.get("name") == cell.pretraining), {})
    return {
        "weights": name,
        "setting": cell.setting,
        "teacher": cell.teacher,
        "pretraining": cell.pretraining,
        "init": cell.init,
        "data": before.get("data"),
        "frames": None
        if cell.pretraining is None
        else total_frames(parts_of(study.folder / before.get("folder", ""))),
    }
