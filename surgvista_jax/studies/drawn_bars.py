"""What the figure of a comparison takes from reports of evaluations, or from that of a study."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.figures.bars import LEVELS, Panel
from surgvista_jax.metrics.statistics import Wilcoxon, holm, wilcoxon, without_last_bits
from surgvista_jax.reports.comparison import ZERO_RULE, of_units
from surgvista_jax.studies.drawn import (
    axis_title,
    bar,
    bars_words,
    is_study,
    known_scores,
    units_words,
)

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
        raise UserError(
            f"no result of the study has a score {score!r}; {known_scores(report['panels'])}"
        )
    places = {(panel["dataset"], panel["mode"]): key for panel, key in chosen}
    compared = _one_of_each(report["tests"], report["ours"])
    tests = [
        test
        for test in compared
        if places.get((test["dataset"], test["mode"])) == test["key"] and test["one_sided"]
    ]
    where = [(test["dataset"], test["mode"]) for test in tests]
    adjusted = _holm([test["one_sided"]["p_value"] for test in tests], where, family)
    possible = _holm([test["one_sided"]["smallest_p"] for test in tests], where, family)
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
            bar(
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
    units = [panel["unit"] for panel, _ in chosen]
    return panels, _note(words, possible, family, units, panels)


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
    found: list[tuple[str, dict, list[dict], str, list[Wilcoxon | None]]] = []
    for members in together.values():
        entry = _entry(members[0], score)
        own = [report["system"]["name"] for report in members]
        first = ours if ours in own else own[0]
        if len(set(own)) < len(own):
            raise UserError(f"two reports are of {own[0]} on the same videos; give each once")
        base = members[own.index(first)]
        tests = [None if report is base else _test(base, report, entry) for report in members]
        found.append((first, entry, members, entry["key"], tests))
    tested = [(test, at) for at, (*_, tests) in enumerate(found) for test in tests if test]
    where = [at for _, at in tested]
    adjusted = iter(_holm([test.p_value for test, _ in tested], where, family))
    possible = _holm([test.smallest_p for test, _ in tested], where, family)
    panels = []
    for first, entry, members, key, tests in found:
        bars = tuple(
            bar(
                report["system"]["name"],
                next((s for s in report["scores"] if s["key"] == key), None),
                float(next(adjusted)) if test else float("nan"),
                report["system"]["name"] == first and len(members) > 1,
            )
            for report, test in zip(members, tests, strict=True)
        )
        panels.append(Panel(_title(members[0]), axis_title(entry), bars))
    firsts = list(dict.fromkeys(item[0] for item in found if len(item[2]) > 1))
    words = f"{' or '.join(firsts)} is better than this one"
    return panels, _note(words, possible, family, [report["unit"] for report in reports], panels)


def _entry(report: dict[str, Any], score: str) -> dict[str, Any]:
    """A score of a report; "": its first main one."""
    for entry in report["scores"]:
        if entry["key"] == score or (not score and entry["primary"]):
            return entry
    known = ", ".join(entry["key"] for entry in report["scores"])
    raise UserError(f"--score={score}: {report['system']['name']} has {known}")


def _test(ours: dict[str, Any], theirs: dict[str, Any], entry: dict[str, Any]) -> Wilcoxon | None:
    """One-sided, of a score with a value for each video; None of another."""
    key, sign = entry["key"], 1.0 if entry["higher_is_better"] else -1.0
    values = []
    for report in (ours, theirs):
        values.append([item["values"].get(key) for item in report["videos"]])
    a, b = (np.array(each, np.float64) for each in values)  # None becomes NaN
    cluster = None
    if ours["unit"] == "patient":
        whose = [item.get("group") for item in ours["videos"]]
        if None in whose:
            name = ours["system"]["name"]
            raise UserError(f"{name}: its report names no patients; write it anew")
        cluster = np.unique(whose, return_inverse=True)[1].ravel()
    differences = without_last_bits(of_units(sign * (a - b), cluster))
    if np.isnan(differences).all():
        return None
    return wilcoxon(differences, "greater", ZERO_RULE)


def _title(report: dict[str, Any]) -> str:
    meta = report["system"]["runs"][0]["meta"]
    name = meta.get("dataset") or f"{len(report['videos'])} videos"
    return f"{name}, {report['protocol']['name']}"


def _holm(p_values: Sequence[float], panels: Sequence[Hashable], family: str) -> list[float]:
    """Adjusted over all, or over those of each panel."""
    values = np.array(p_values)
    of_panel = np.array([0 if family == FAMILIES[0] else panels.index(panel) for panel in panels])
    adjusted = np.empty(len(values))
    for each in np.unique(of_panel):
        adjusted[of_panel == each] = holm(values[of_panel == each])
    return adjusted.tolist()


def _note(
    better: str,
    possible: Sequence[float],
    family: str,
    units: Sequence[str],
    panels: Sequence[Panel],
) -> str:
    """What is drawn, in words; `possible` are the smallest adjusted p that the tests could have."""
    note, tests = bars_words(units), len(possible)
    if not tests:
        return note
    covered = "of this figure" if family == FAMILIES[0] else "in all, those of each panel apart"
    # Spaces that do not break keep a level in one line.
    levels = (f"{mark} p < {level:g}" for level, mark in reversed(LEVELS))
    stars = ", ".join(told.replace(" ", "\N{NO-BREAK SPACE}") for told in levels)
    note += (
        f" Stars: {better}; one-sided Wilcoxon signed-rank test over {units_words(units)}, Holm "
        f"over the {tests} comparison{'s' if tests > 1 else ''} {covered}: {stars}."
    )
    if min(possible) >= LEVELS[-1][0]:
        note += (
            f" For so many comparisons the {units_words(units)} are too few: no p can be below"
            f" {min(possible):.2g}, and so none has a star."
        )
    bars = [[bar for bar in panel.bars if not np.isnan(bar.value)] for panel in panels]
    if any(len(each) > 1 and all(np.isnan(bar.p_value) for bar in each) for each in bars):
        note += " Panels without marks are not tested: their scores have no value of each video."
    return note
