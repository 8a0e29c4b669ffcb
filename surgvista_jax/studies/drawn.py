"""What figures take from report.json files: those of evaluations, and that of a study."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.figures.amounts import Amounts
from surgvista_jax.figures.bars import LEVELS, Bar, Panel
from surgvista_jax.json_object import read_object
from surgvista_jax.metrics.statistics import holm, wilcoxon, without_last_bits
from surgvista_jax.reports.comparison import ZERO_RULE
from surgvista_jax.studies.report import KIND

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
            study = (path / "study.json").is_file()
            hint = f"; `surgvista study report {path}` writes it" if study else ""
            raise UserError(f"{path}: holds no {' and no '.join(_PLACES)}{hint}")
        place = found[0]
    report = read_object(place)
    keys = _KEYS_OF_STUDY if is_study(report) else _KEYS
    if missing := [key for key in keys if key not in report]:
        raise UserError(
            f"{place}: is no report of `surgvista evaluate` or `study report`: lacks {missing[0]!r}"
        )
    return report


def is_study(report: dict[str, Any]) -> bool:
    return report.get("kind") == KIND


FAMILIES = ("figure", "panel")


def comparison(
    reports: Sequence[dict[str, Any]], score: str = "", ours: str = "", family: str = FAMILIES[0]
) -> tuple[list[Panel], str]:
    """The panels of a comparison and the note below them.

    Args:
        reports: of one study; or of evaluations, those of the same videos and protocol beside one
            another in a panel.
        score: key of a score; "": the main one of each panel.
        ours: of evaluations, the system that is held against the others of its panel; "": the
            first.
        family: what Holm's adjustment covers, all comparisons of the "figure" or of a "panel".

    Raises:
        UserError: reports that do not go together, or hold no such score.
    """
    if any(map(is_study, reports)):
        if len(reports) > 1 or ours:
            raise UserError("a study's report is drawn alone, and says itself what it compares")
        return _of_study(reports[0], score, family)
    return _of_evaluations(reports, score, ours, family)


def _of_study(report: dict[str, Any], score: str, family: str) -> tuple[list[Panel], str]:
    chosen = [
        (panel, key)
        for panel in report["panels"]
        if (key := score or panel["main"]) in {found["key"] for found in panel["scores"]}
    ]
    if not chosen:
        raise UserError(f"no result of the study has a score {score!r}; {_known(report['panels'])}")
    places = {(panel["dataset"], panel["mode"]): key for panel, key in chosen}
    compared = _one_of_each(report["tests"], report["ours"])
    tests = [
        test
        for test in compared
        if places.get((test["dataset"], test["mode"])) == test["key"] and test["one_sided"]
    ]
    adjusted = _holm(
        [test["one_sided"]["p_value"] for test in tests],
        [(test["dataset"], test["mode"]) for test in tests],
        family,
    )
    p_of = {
        (test["dataset"], test["mode"], test["theirs"]): float(p)  # of one `ours` each
        for test, p in zip(tests, adjusted, strict=True)
    }
    ours = list(dict.fromkeys(test["ours"] for test in compared))
    # Where each is held against the one before it, none stands out.
    dark = {name for name in ours if name not in {test["theirs"] for test in compared}}
    panels = []
    for panel, key in chosen:
        about = next(found for found in panel["scores"] if found["key"] == key)
        bars = tuple(
            _bar(
                row["weights"],
                row["scores"].get(key),
                p_of.get((panel["dataset"], panel["mode"], row["weights"]), float("nan")),
                row["weights"] in dark,
            )
            for row in panel["rows"]
        )
        title = f"{panel['dataset']}, {panel['mode']}"
        if panel["group"]:
            title += f" ({panel['group']})"
        panels.append(Panel(title, axis_title(about), bars))
    asked = list(dict.fromkeys((test["ours"], test["theirs"]) for test in tests))
    if len(ours) == 1:
        words = f"{ours[0]} is better than this one"
    else:
        words = "better than this one is " + "; ".join(f"{a} (than {b})" for a, b in asked)
    return panels, _note(words, len(tests), family)


def _one_of_each(tests: Sequence[dict[str, Any]], ours: str) -> list[dict[str, Any]]:
    """The tests of one pair for each `theirs` (a bar has one mark): of `ours`, else the first."""
    pairs = sorted(((test["ours"], test["theirs"]) for test in tests), key=lambda p: p[0] != ours)
    chosen = {theirs: name for name, theirs in reversed(pairs)}
    return [test for test in tests if chosen[test["theirs"]] == test["ours"]]


def _of_evaluations(
    reports: Sequence[dict[str, Any]], score: str, ours: str, family: str
) -> tuple[list[Panel], str]:
    together: dict[tuple, list[dict[str, Any]]] = {}
    for report in reports:
        videos = tuple(item["video"] for item in report["videos"])
        together.setdefault((report["protocol"]["digest"], videos), []).append(report)
    names = [report["system"]["name"] for report in reports]
    if ours and ours not in names:
        raise UserError(f"--ours={ours}: the reports are of {', '.join(dict.fromkeys(names))}")
    found: list[tuple[str, dict, list[dict], str, list[float]]] = []
    for members in together.values():
        entry = _entry(members[0], score)
        own = [report["system"]["name"] for report in members]
        first = ours if ours in own else own[0]
        if len(set(own)) < len(own):
            raise UserError(f"two reports are of {own[0]} on the same videos; give each once")
        base = members[own.index(first)]
        p_values = [
            float("nan") if report is base else _p_value(base, report, entry) for report in members
        ]
        found.append((first, entry, members, entry["key"], p_values))
    tested = [(p, at) for at, (*_, ps) in enumerate(found) for p in ps if not np.isnan(p)]
    adjusted = iter(_holm([p for p, _ in tested], [at for _, at in tested], family))
    panels = []
    for first, entry, members, key, p_values in found:
        bars = tuple(
            _bar(
                report["system"]["name"],
                next((s for s in report["scores"] if s["key"] == key), None),
                p if np.isnan(p) else float(next(adjusted)),
                report["system"]["name"] == first and len(members) > 1,
            )
            for report, p in zip(members, p_values, strict=True)
        )
        panels.append(Panel(_title(members[0]), axis_title(entry), bars))
    firsts = list(dict.fromkeys(item[0] for item in found if len(item[2]) > 1))
    return panels, _note(f"{' or '.join(firsts)} is better than this one", len(tested), family)


def amounts(report: dict[str, Any], score: str = "", second: str = "") -> tuple[list[Amounts], str]:
    """Two scores of each backbone of a study, in the study's order, and the note below them.

    Args:
        score, second: keys; "": the main score of each panel, and the next one that it has.

    Raises:
        UserError: it is no study's report, or holds no two such scores.
    """
    if not is_study(report):
        raise UserError("amounts of data are drawn from the report of a study alone")
    entries = report["weights"]
    settings = [entry["setting"] for entry in entries]
    alone = len(set(settings)) == len(settings)
    names = tuple(settings if alone else [entry["weights"] for entry in entries])
    sizes = tuple(_size(entry["frames"]) for entry in entries)
    panels = []
    for panel in report["panels"]:
        about = {found["key"]: found for found in panel["scores"]}
        first = score or panel["main"]
        other = second or next((key for key in about if key != first), "")
        if first not in about or other not in about:
            continue
        rows = {row["weights"]: row["scores"] for row in panel["rows"]}
        left, right = (
            tuple(
                _bar(e["weights"], rows.get(e["weights"], {}).get(key), float("nan"), True)
                for e in entries
            )
            for key in (first, other)
        )
        titles = axis_title(about[first]), axis_title(about[other])
        title = f"{panel['dataset']}, {panel['mode']}"
        panels.append(Amounts(title, names, sizes, titles, (left, right)))
    if not panels:
        raise UserError(
            f"no dataset of the study has both scores {score!r} and {second!r}; "
            f"{_known(report['panels'])}"
        )
    note = "Bars: means over seeds; points: seeds; lines: 95 % intervals over videos."
    if any(sizes):
        note += " Below: frames that were pretrained on."
    if any(np.isnan(bar.value) for panel in panels for bars in panel.bars for bar in bars):
        note += " Cross: no result."
    return panels, note


def _size(frames: int | None) -> str:
    """ "86 k" frames, "3.55 M"."""
    if not frames:
        return ""
    for unit, letter in ((1e6, " M"), (1e3, " k")):
        if frames >= unit:
            return f"{frames / unit:.3g}{letter}"
    return str(frames)


def _entry(report: dict[str, Any], score: str) -> dict[str, Any]:
    """A score of a report; "": its first main one."""
    for entry in report["scores"]:
        if entry["key"] == score or (not score and entry["primary"]):
            return entry
    known = ", ".join(entry["key"] for entry in report["scores"])
    raise UserError(f"--score={score}: {report['system']['name']} has {known}")


def _p_value(ours: dict[str, Any], theirs: dict[str, Any], entry: dict[str, Any]) -> float:
    """One-sided, of a score with a value for each video; NaN of another."""
    key, sign = entry["key"], 1.0 if entry["higher_is_better"] else -1.0
    values = []
    for report in (ours, theirs):
        values.append([item["values"].get(key) for item in report["videos"]])
    a, b = (np.array(each, np.float64) for each in values)  # None becomes NaN
    differences = without_last_bits(sign * (a - b))
    if np.isnan(differences).all():
        return float("nan")
    return wilcoxon(differences, "greater", ZERO_RULE).p_value


def _bar(name: str, entry: dict[str, Any] | None, p_value: float, ours: bool) -> Bar:
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


def _title(report: dict[str, Any]) -> str:
    meta = report["system"]["runs"][0]["meta"]
    name = meta.get("dataset") or f"{len(report['videos'])} videos"
    return f"{name}, {report['protocol']['name']}"


def _known(panels: Sequence[dict[str, Any]]) -> str:
    keys = dict.fromkeys(found["key"] for panel in panels for found in panel["scores"])
    return f"there are {', '.join(keys) or 'none'}"


def _holm(p_values: Sequence[float], panels: Sequence[Hashable], family: str) -> list[float]:
    """Adjusted over all, or over those of each panel."""
    values = np.array(p_values)
    of_panel = np.array([0 if family == FAMILIES[0] else panels.index(panel) for panel in panels])
    adjusted = np.empty(len(values))
    for each in np.unique(of_panel):
        adjusted[of_panel == each] = holm(values[of_panel == each])
    return adjusted.tolist()


def _note(better: str, tests: int, family: str) -> str:
    note = "Bars: means over seeds; points: seeds; lines: 95 % intervals over videos."
    if not tests:
        return note
    covered = "of this figure" if family == FAMILIES[0] else "in all, those of each panel apart"
    stars = ", ".join(f"{mark} p < {level:g}" for level, mark in reversed(LEVELS))
    return (
        f"{note} Stars: {better}; one-sided Wilcoxon signed-rank test over videos, Holm over the "
        f"{tests} comparison{'s' if tests > 1 else ''} {covered}: {stars}."
    )
