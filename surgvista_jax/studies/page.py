"""The page of a study: one HTML file in the manner of an evaluation's report."""

from collections.abc import Sequence
from html import escape
from typing import Any

from surgvista_jax.reports import charts
from surgvista_jax.reports.page import document, section
from surgvista_jax.reports.page_tables import breakable, html_table
from surgvista_jax.reports.words import number, signed, span, title_of
from surgvista_jax.studies.words import (
    NONE,
    best_rows,
    effect,
    how_tested,
    p_words,
    seeds_words,
    with_spread,
)

_ALL = "all datasets"


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
    body += [section(f"Scores, {_mode(mode)}", _overview(report, mode)) for mode in _modes(report)]
    body.append(section("Means over datasets", _groups(report)))
    body.append(section("Is it better?", _tests(report)))
    body.append(section("Is it better over all datasets?", _over_datasets(report)))
    body.append(section("Backbones", _backbones(report)))
    body += [
        section(f"{panel['dataset']}, {_mode(panel['mode'])}", _panel(panel))
        for panel in report["panels"]
    ]
    body.append(section("Runs without a result", _lacking(report)))
    notes = "".join(f"<li>{escape(note)}</li>" for note in report["notes"])
    made = f'<p class="soft">Made by {escape(report["made_by"])}.</p>'
    body.append(section("Notes", f"<ul>{notes}</ul>{made}" if notes else made))
    return document(title, body)


def _mode(mode: str) -> str:
    return {
        "full": "full finetuning",
        "linear": "linear probe",
        "attentive": "attentive probe",
        "lora": "LoRA",
        "temporal": "MS-TCN",
    }.get(mode, mode)


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
    header = ["Backbone", *(panel["dataset"] for panel in panels)]
    shown: dict[str, list[str]] = {}  # score -> datasets
    for panel in panels:
        if panel["main"]:
            shown.setdefault(title_of(titles[panel["main"]]), []).append(panel["dataset"])
    scores = "; ".join(
        title if len(shown) == 1 else f"{title} of {', '.join(datasets)}"
        for title, datasets in shown.items()
    )
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
    words = (
        f'<p class="soft" style="margin-top:8px">{escape(scores)}: the mean over seeds ± their '
        "standard deviation (N - 1); intervals over videos stand with each dataset below. "
        "Bold: the best.</p>"
    )
    return html_table(header, rows) + words


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
        parts.append(f"<h3>{escape(_mode(mode))}</h3>{html_table(header, rows)}")
    if not parts:
        return ""
    return "".join(parts) + (
        '<p class="soft" style="margin-top:8px">Main scores in percent, each dataset counts once; '
        "in brackets: datasets. ± over seeds. Where a dataset has no result there is no mean, and "
        "it is said how many have one.</p>"
    )


def _tests(report: dict) -> str:
    if not report["tests"]:
        return (
            '<p class="soft">No two backbones that the study compares have results on the same '
            "videos yet.</p>"
        )
    parts = []
    for panel in report["panels"]:
        here = [
            test
            for test in report["tests"]
            if (test["dataset"], test["mode"]) == (panel["dataset"], panel["mode"])
        ]
        if not here:
            continue
        parts.append(f"<h3>{escape(panel['dataset'])}, {escape(_mode(panel['mode']))}</h3>")
        main = [test for test in here if test["main"]]
        parts.append(_forest(main))
        others = _test_table([test for test in here if not test["main"]])
        parts.append(_test_table(main))
        if len(here) > len(main):
            parts.append(f"<details><summary>Further scores</summary>{others}</details>")
    return "".join(parts) + f'<p class="soft" style="margin-top:12px">{how_tested(report)}</p>'


def _forest(tests: Sequence[dict]) -> str:
    if not tests:
        return ""
    percent = tests[0]["percent"]
    rows = [
        (
            f"{test['ours']} – {test['theirs']}",
            test["difference"],
            f"{signed(test['difference']['value'], percent)} "
            f"({span(test['difference'], percent, signed)})",
        )
        for test in tests
    ]
    scale = charts.scale_of([test["difference"] for test in tests], (-1.0, 1.0), zero=True)
    unit = "percentage points" if percent else "difference"
    return (
        f'<p class="soft">{escape(tests[0]["title"])}: {unit}, right of 0 the first is better; '
        "bars: 95 % intervals.</p>"
        + charts.forest(rows, scale, (signed(scale.low, percent), signed(scale.high, percent)))
    )


def _test_table(tests: Sequence[dict]) -> str:
    header = ["Ours against theirs", "Score", "Ours", "Theirs", "p one-sided"]
    header += ["Holm, dataset", "Holm, study", "Effect", "Videos"]
    rows = []
    for test in tests:
        one = test["one_sided"]
        rows.append(
            [
                f"{breakable(test['ours'])} – {breakable(test['theirs'])}",
                f'<td class="names">{escape(test["title"])}</td>',
                number(test["value_ours"], test["percent"]),
                number(test["value_theirs"], test["percent"]),
                p_words(one, one and one["p_value"]),
                p_words(one, test["holm_dataset_one_sided"]),
                f"<b>{p_words(one, test['holm_study_one_sided'])}</b>",
                effect(one),
                str(one["num_pairs"]) if one else NONE,
            ]
        )
    return html_table(header, rows)


def _over_datasets(report: dict) -> str:
    if not report["over_datasets"]:
        return ""
    header = ["Ours against theirs", "Mode", "Datasets", "Better on", "Mean difference"]
    header += ["p one-sided", "Holm", "Effect"]
    rows = [
        [
            f"{breakable(entry['ours'])} – {breakable(entry['theirs'])}",
            f'<td class="names">{escape(_mode(entry["mode"]))}</td>',
            str(len(entry["datasets"])),
            str(entry["better_on"]),
            signed(entry["mean"]),
            p_words(entry["one_sided"], entry["one_sided"]["p_value"]),
            f"<b>{p_words(entry['one_sided'], entry['holm_study_one_sided'])}</b>",
            effect(entry["one_sided"]),
        ]
        for entry in report["over_datasets"]
    ]
    fewest = min(len(entry["datasets"]) for entry in report["over_datasets"])
    words = (
        "Here the pairs are datasets, each counting once by its main score, so that differences of "
        f"unlike scores are ranked together; {fewest} datasets cannot give a p below "
        f"{2.0**-fewest:.3g}."
    )
    return html_table(header, rows) + f'<p class="soft" style="margin-top:8px">{words}</p>'


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
