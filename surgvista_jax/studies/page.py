"""The page of a study: one HTML file in the manner of an evaluation's report."""

from collections.abc import Sequence
from html import escape
from typing import Any

from surgvista_jax.reports.page import document, section
from surgvista_jax.reports.page_tables import breakable, html_table
from surgvista_jax.reports.words import number, span, title_of
from surgvista_jax.studies.page_tests import (
    OPEN,
    folded,
    over_datasets_section,
    tests_section,
)
from surgvista_jax.studies.words import (
    NONE,
    best_rows,
    mode_words,
    seeds_words,
    with_spread,
)

_ALL = "all datasets"
_COLUMNS = 6  # datasets beside each other


def study_page(report: dict[str, Any]) -> str:
    """The report as one self-contained HTML file."""
    title = report["title"] or report["study"]
    lacking = report["planned"] - report["finished"]
    told = f"{report['finished']} of {report['planned']} runs have a result"
    told += f"; {lacking} have none and are listed below." if lacking else "."
    body = [
        f"<header><h1>{escape(title)}</h1>"
        f'<p class="soft">Study {escape(report["study"])}: {told}</p>'
        f'<p><span class="badge">cells {escape(report["digest"][:16])}</span></p></header>',
    ]
    body += [
        section(f"Scores, {mode_words(mode)}", _overview(report, mode)) for mode in _modes(report)
    ]
    body.append(section("Means over datasets", _groups(report)))
    body.append(section("Is it better?", tests_section(report)))
    body.append(section("Is it better over all datasets?", over_datasets_section(report)))
    body.append(section("Backbones", _backbones(report)))
    for panel in report["panels"]:
        inner = _panel(panel)
        if len(report["panels"]) > OPEN:
            inner = folded("Scores, intervals, and what was done", inner)
        body.append(section(f"{panel['dataset']}, {mode_words(panel['mode'])}", inner))
    body.append(section("Runs without a result", _lacking(report)))
    notes = "".join(f"<li>{escape(note)}</li>" for note in report["notes"])
    made = f'<p class="soft">Made by {escape(report["made_by"])}.</p>'
    body.append(section("Notes", f"<ul>{notes}</ul>{made}" if notes else made))
    return document(title, body)


def _modes(report: dict) -> list[str]:
    return list(dict.fromkeys(panel["mode"] for panel in report["panels"]))


def _cell(row: dict, key: str, best: bool = False) -> str:
    words = with_spread(row["scores"].get(key))
    few = seeds_words(row)
    told = f"<b>{words}</b>" if best else words
    return f'{told}<br><span class="soft">{few}</span>' if few else told


def _overview(report: dict, mode: str) -> str:
    """A row for each backbone, a column for each dataset: its main score."""
    panels = [panel for panel in report["panels"] if panel["mode"] == mode]
    titles = {s["key"]: s for panel in panels for s in panel["scores"]}
    shown: dict[str, list[str]] = {}  # score -> datasets
    for panel in panels:
        if panel["main"]:
            shown.setdefault(title_of(titles[panel["main"]]), []).append(panel["dataset"])
    scores = "; ".join(
        title if len(shown) == 1 else f"{title} of {', '.join(datasets)}"
        for title, datasets in shown.items()
    )
    parts = [
        _overview_table(report, panels[at : at + _COLUMNS])
        for at in range(0, len(panels), _COLUMNS)
    ]
    words = (
        f'<p class="soft" style="margin-top:8px">{escape(scores)}: the mean over seeds ± their '
        "standard deviation (N - 1); intervals stand with each dataset below. "
        "Bold: the best.</p>"
    )
    return "".join(parts) + words


def _overview_table(report: dict, panels: Sequence[dict]) -> str:
    header = ["Backbone", *(panel["dataset"] for panel in panels)]
    rows = []
    for name in (entry["weights"] for entry in report["weights"]):
        cells = [breakable(name)]
        for panel in panels:
            row = next((row for row in panel["rows"] if row["weights"] == name), None)
            if row is None:
                cells.append('<span class="soft">not planned</span>')
            elif not panel["main"]:
                cells.append(f'{NONE}<br><span class="soft">{seeds_words(row)}</span>')
            else:
                best = name in best_rows(panel, panel["main"])
                cells.append(_cell(row, panel["main"], best))
        rows.append(cells)
    return html_table(header, rows)


def _groups(report: dict) -> str:
    parts = []
    for mode in dict.fromkeys(entry["mode"] for entry in report["groups"]):
        entries = [entry for entry in report["groups"] if entry["mode"] == mode]
        header = ["Backbone"]
        header += [f"{e['group'] or _ALL} ({e['datasets']})" for e in entries]
        rows = []
        for at, first in enumerate(entries[0]["rows"]):
            cells = [breakable(first["weights"])]
            for entry in entries:
                row = entry["rows"][at]
                cells.append(
                    with_spread(row)
                    if row["value"] is not None
                    else f'<span class="soft">{row["datasets"]} of {entry["datasets"]}</span>'
                )
            rows.append(cells)
        parts.append(f"<h3>{escape(mode_words(mode))}</h3>{html_table(header, rows)}")
    if not parts:
        return ""
    return "".join(parts) + (
        '<p class="soft" style="margin-top:8px">Main scores in percent, each dataset counts once; '
        "in brackets: datasets. ± over seeds. Where a dataset has no result there is no mean, and "
        "it is said how many have one.</p>"
    )


def _backbones(report: dict) -> str:
    rows = []
    for entry in report["weights"]:
        teacher = {True: "with", False: "without", None: NONE}[entry["teacher"]]
        data = ", ".join(map(str, entry["data"])) if entry["data"] else NONE
        data += f" ({entry['frames']:,} frames)" if entry["frames"] else ""
        start = entry["init"] or (f"pretrained here: {entry['pretraining']}")
        rows.append(
            [breakable(entry["weights"])]
            + [
                f'<td class="names">{escape(words)}</td>'
                for words in (entry["setting"], teacher, start, data)
            ]
        )
    return html_table(["Backbone", "Setting", "Teacher", "Weights", "Pretraining data"], rows)


def _panel(panel: dict) -> str:
    protocol = panel["protocol"]
    about = f"Task {panel['task']}"
    about += f", {panel['group']}" if panel["group"] else ""
    if "videos" in panel:
        about += f". {panel['frames']:,} scored frames of {panel['split']}"
        about += f". Drawn and paired are {panel['unit']}s: {panel['why_unit']}"
    parts = [
        f'<p><span class="badge">{escape(protocol["label"])}</span></p>',
        f'<p class="soft">{escape(about)}.</p>',
    ]
    for score in panel["scores"]:
        parts.append(_score(panel, score))
    if panel["facts"]:
        parts.append(f"<h3>What was done</h3>{_facts(panel)}")
    words = f"<p>{escape(protocol['text'])}</p>"
    parts.append(f"<details><summary>The protocol in words</summary>{words}</details>")
    return "".join(parts)


def _score(panel: dict, score: dict) -> str:
    """A table of one score: a row for each backbone."""
    header = [title_of(score), "Score", "95 % interval", "Std over videos", "Std over seeds"]
    header += ["Each seed"]
    best, rows = best_rows(panel, score["key"]), []
    for row in panel["rows"]:
        found, percent = row["scores"].get(score["key"]), score["percent"]
        few = seeds_words(row)
        name = breakable(row["weights"]) + (f'<br><span class="soft">{few}</span>' if few else "")
        if found is None:
            rows.append([name, *[NONE] * (len(header) - 1)])
            continue
        seeds = found.get("seeds")
        value = number(found["value"], percent)
        rows.append(
            [
                name,
                f"<b>{value}</b>" if row["weights"] in best else value,
                span(found, percent),
                number(found.get("std_over_videos"), percent),
                number(seeds["std"], percent) if seeds else NONE,
                ", ".join(number(each, percent) for each in seeds["values"]) if seeds else value,
            ]
        )
    words = f'<p class="soft" style="margin-top:8px">{escape(score["title"])}: '
    return f"{html_table(header, rows)}{words}{escape(score['averaging'])}.</p>"


def _facts(panel: dict) -> str:
    planned = len(panel["rows"])
    rows = []
    for item in panel["facts"]:
        told = []
        for each in item["answers"]:
            who = "" if len(item["answers"]) == 1 else f"{', '.join(each['weights'])}: "
            told.append(f"{escape(who)}{escape(each['answer'])}")
        joined = "<br>".join(told)
        rows.append([escape(item["question"]), f'<td class="names">{joined}</td>'])
    averaged: dict[str, list[str]] = {}
    for score in panel["scores"]:
        averaged.setdefault(score["averaging"], []).append(score["title"])
    told = [f"{escape(', '.join(titles))}: {escape(how)}" for how, titles in averaged.items()]
    rows.append(["Pooled or by video", f'<td class="names">{"<br>".join(told)}</td>'])
    there = sum(bool(row["seeds"]) for row in panel["rows"])
    hint = f'<p class="soft">Of {there} of {planned} backbones.</p>' if there < planned else ""
    return html_table(["", "As the runs’ files say"], rows) + hint


def _lacking(report: dict) -> str:
    if not report["lacking"]:
        return ""
    rows = [
        [breakable(entry["cell"]), f'<td class="names">{breakable(entry["why"])}</td>']
        for entry in report["lacking"]
    ]
    return html_table(["Run", "Why"], rows)
