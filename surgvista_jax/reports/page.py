"""A report in a browser: one file, no network, from phone to desktop."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from surgvista_jax.reports import charts
from surgvista_jax.reports.mistake_page import Pictures, mistake_section
from surgvista_jax.reports.page_tables import (
    class_tables,
    comparison_section,
    confusion_matrix,
    group_section,
    html_table,
)
from surgvista_jax.reports.ribbon_page import ribbon_section
from surgvista_jax.reports.words import (
    files_words,
    interval_words,
    number,
    runs_words,
    sections,
    span,
    title_of,
)

SPREADS = {"std_over_videos": "videos", "std_over_classes": "classes"}


def page(report: dict, pictures: Pictures | None = None) -> str:
    """The report as one self-contained HTML file, with the pictures of mistakes that are given."""
    protocol = report["protocol"]
    body = [
        f"<header><h1>{escape(report['system']['name'])}</h1>"
        f'<p class="soft">{report["num_frames"]:,} frames of {escape(report["split"])}'
        f"{runs_words(report)}</p>"
        f'<p><a class="badge" href="#protocol">{escape(protocol["label"])}</a></p></header>',
        _cards(report),
    ]
    if report["comparisons"]:
        body.append(section("Against the baselines", comparison_section(report)))
    body += class_tables(report, section)
    if report["confusion"]:
        body.append(section("Confusion", confusion_matrix(report["confusion"])))
    if report["ribbons"]:
        body.append(section("The course of each video", ribbon_section(report["ribbons"])))
    if report["mistakes"]:
        runs = len(report["system"]["runs"])
        inner = mistake_section(report["mistakes"], pictures or {}, runs)
        body.append(section("Mistakes", inner))
    body.append(section("All videos", _videos(report)))
    if report.get("groups"):
        body.append(section(f"By {report['groups']['kind']}", group_section(report)))
    if report["reliability"]:
        body.append(section("Calibration", _calibration(report)))
    body.append(section("All scores", _all_scores(report)))
    words = f'<p id="protocol">{escape(protocol["text"])}</p>'
    body.append(section("The protocol in words", words))
    body.append(section("Files and notes", _files(report)))
    return document(f"{report['system']['name']}: {protocol['name']}", body)


def document(title: str, body: Sequence[str]) -> str:
    """A whole HTML file of these parts, with its style; empty parts are left out."""
    style = (files("surgvista_jax.reports") / "page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>'
        f"<style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def section(title: str, inner: str) -> str:
    """A part of a page under its heading; nothing of nothing."""
    return f"<section><h2>{escape(title)}</h2>{inner}</section>" if inner else ""


def _cards(report: dict) -> str:
    cards = ""
    for entry in report["scores"]:
        if not entry["primary"] or entry["value"] is None:
            continue
        percent = entry["percent"]
        label = f"{entry['title']} {number(entry['value'], percent)}"
        cards += (
            f'<div class="card"><span>{escape(title_of(entry))}</span>'
            f"<b>{number(entry['value'], percent)}</b>"
            f"{charts.interval_bar(entry['value'], entry['low'], entry['high'], label)}"
            f"<span>{span(entry, percent)}</span></div>"
        )
    note = f'<p class="soft" style="margin-top:8px">{escape(interval_words(report))}</p>'
    return f'<div class="cards">{cards}</div>{note}'


def _videos(report: dict) -> str:
    entries = [
        entry
        for entry in report["scores"]
        if entry["primary"] and report["videos"] and entry["key"] in report["videos"][0]["values"]
    ]
    if not entries or len(report["videos"]) < 2:
        return ""
    first = entries[0]
    known = [
        (video["video"], video["values"][first["key"]])
        for video in report["videos"]
        if video["values"][first["key"]] is not None
    ]
    picture = ""
    if known:
        names, values = zip(*known, strict=True)
        low = 0.2 * min(4, int(5 * min(values)))  # so that its four parts end on whole numbers
        picture = charts.dots(names, values, low, f"{first['title']} of each video")
    if picture:
        picture = f'<p class="soft">{escape(title_of(first))}, one dot a video.</p>' + picture
    rows = [
        [escape(video["video"]), f"{video['frames']:,}"]
        + [number(video["values"][entry["key"]], entry["percent"]) for entry in entries]
        for video in report["videos"]
    ]
    header = ["Video", "Frames", *(title_of(entry) for entry in entries)]
    table = html_table(header, rows)
    return f"{picture}<details><summary>Table of {len(rows)} videos</summary>{table}</details>"


def _calibration(report: dict) -> str:
    words = [
        f"{entry['title']} {number(entry['value'], entry['percent'])}"
        f"{' %' if entry['percent'] else ''} ({span(entry, entry['percent'])})"
        for entry in report["scores"]
        if entry["key"] in ("ece", "brier")
    ]
    return (
        f'<div class="two">{charts.reliability(report["reliability"])}<div style="flex:1 1 240px">'
        f"<p>{escape('; '.join(words))}.</p>"
        '<p class="soft">Bars: share of frames that are right, by the model’s confidence; a '
        "calibrated model’s bars end on the diagonal. Darker bars hold more frames.</p></div></div>"
    )


def _all_scores(report: dict) -> str:
    parts = []
    for title, entries in sections(report["scores"]):
        header = ["", "Score", "95 % interval"]
        spreads = [key for key in SPREADS if any(key in entry for entry in entries)]
        header += [f"Std over {SPREADS[key]}" for key in spreads]
        seeds = "seeds" in entries[0]
        header += ["Std over seeds"] if seeds else []
        rows = []
        for entry in entries:
            percent = entry["percent"]
            row = [escape(title_of(entry)), f"<b>{number(entry['value'], percent)}</b>"]
            row.append(span(entry, percent))
            row += [number(entry.get(key), percent) for key in spreads]
            if seeds:
                found = entry["seeds"]
                row.append(f"{number(found['std'], percent)} (n={found['number']})")
            rows.append(row)
        parts.append(f"<h3>{escape(title or 'Main scores')}</h3>{html_table(header, rows)}")
    return "".join(parts) + '<p class="soft" style="margin-top:8px">Std: over N - 1.</p>'


def _files(report: dict) -> str:
    lines = files_words(report["system"])
    for base in report["baselines"]:
        lines += [f"baseline {base['name']}: {line}" for line in files_words(base)]
    lines += report["notes"]
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul>{listed}</ul><p class="soft">Made by {escape(report["made_by"])}.</p>'
