"""A report as Markdown, for a repository or a paper's appendix."""

from surgvista_jax.predictions.times import moment
from surgvista_jax.reports.names import in_markdown
from surgvista_jax.reports.words import (
    class_rows,
    files_words,
    interval_words,
    is_scored,
    number,
    p_of,
    p_value,
    runs_words,
    sections,
    signed,
    span,
    spread,
    sureness,
    surest_title,
    test_words,
    title_of,
)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Cells are text, not Markdown."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(map(in_markdown, cells)) + " |"

    rule = "|---|" + "---:|" * (len(header) - 1)
    return "\n".join([line(header), rule, *map(line, rows)])


def markdown(report: dict) -> str:
    """The whole report except its pictures."""
    protocol = report["protocol"]
    parts = [
        f"# Evaluation by {protocol['name']}",
        f"Protocol {protocol['label']}. {protocol['text']}",
        f"{in_markdown(report['system']['name'])}: {report['num_frames']} frames of "
        f"{in_markdown(report['split'])}{runs_words(report)}.",
        interval_words(report),
    ]
    for title, entries in sections(report["scores"]):
        parts.append(f"## {title or 'Main scores'}")
        parts.append(_score_table(entries))
    for shown in report["tables"]:
        parts.append(f"## {in_markdown(shown['title'])}")
        parts.append(in_markdown(f"{shown['note']} In percent.".strip()))
        parts.append(table(["", *shown["columns"]], class_rows(shown)))
    if report.get("groups"):
        parts += _groups(report)
    if report["comparisons"]:
        parts += _comparisons(report)
    if report["confusion"]:
        confusion = report["confusion"]
        rows = [
            [f"{k} {name}", *(str(count) for count in confusion["counts"][k])]
            for k, name in enumerate(confusion["classes"])
        ]
        parts.append("## Confusion matrix")
        parts.append("Frames; rows: ground truth, columns: prediction.")
        parts.append(table(["", *map(str, range(len(rows)))], rows))
    if report["mistakes"]:
        parts += _mistakes(report["mistakes"])
    parts.append("## Files")
    lines = files_words(report["system"])
    for base in report["baselines"]:
        lines += [f"baseline {base['name']}: {line}" for line in files_words(base)]
    parts.append("\n".join(f"- {in_markdown(line)}" for line in lines))
    if report["notes"]:
        parts.append("## Notes")
        parts.append("\n".join(f"- {in_markdown(note)}" for note in report["notes"]))
    parts.append(f"Made by {report['made_by']}.")
    return "\n\n".join(parts) + "\n"


def _score_table(entries: list[dict]) -> str:
    header = ["Score", "Value", "95 % interval", "Standard deviation (N-1)"]
    seeds = "seeds" in entries[0]
    header += ["Standard deviation over seeds"] if seeds else []
    rows = []
    for entry in entries:
        percent = entry["percent"]
        row = [title_of(entry), number(entry["value"], percent), span(entry, percent)]
        row.append(spread(entry) or "–")
        if seeds:
            found = entry["seeds"]
            row.append(f"{number(found['std'], percent)} ({found['number']} seeds)")
        rows.append(row)
    return table(header, rows)


def _mistakes(mistakes: dict) -> list[str]:
    scored = is_scored(mistakes["surest"])
    surest = [
        [item["video"], moment(item["second"]), item["truth"], item["prediction"]]
        + [sureness(item["confidence"])] * scored
        for item in mistakes["surest"]
    ]
    pairs = [
        [pair["truth"], pair["prediction"], str(pair["frames"]), number(pair["share"])]
        + ["; ".join(f"{item['video']} {moment(item['second'])}" for item in pair["items"])]
        for pair in mistakes["pairs"]
    ]
    return [
        f"## {surest_title(mistakes['surest'])}",
        table(["Video", "Time", "Truth", "Prediction", *["Confidence"] * scored], surest),
        "## The most frequent confusions",
        table(["Truth", "Prediction", "Frames", "% of the truth", "Such as"], pairs),
    ]


def _groups(report: dict) -> list[str]:
    groups = report["groups"]
    entries = {entry["key"]: entry for entry in report["scores"]}
    keys = list(groups["items"][0]["scores"])
    rows = []
    for item in groups["items"] + groups.get("roles", []):
        role = f" ({item['role']})" if item.get("role") else ""
        row = [item["name"] + role, str(item["videos"])]
        for key in keys:
            percent = entries[key]["percent"]
            found = item["scores"][key]
            row.append(f"{number(found['value'], percent)} ({span(found, percent)})")
        rows.append(row)
    if "gap" in groups:
        row = ["internal better by", ""]
        for key in keys:
            percent = entries[key]["percent"]
            found = groups["gap"][key]
            row.append(f"{signed(found['value'], percent)} ({span(found, percent, signed)})")
        rows.append(row)
    header = [groups["kind"].capitalize(), "Videos", *(title_of(entries[k]) for k in keys)]
    return [f"## By {groups['kind']}", table(header, rows)]


def _comparisons(report: dict) -> list[str]:
    header = ["Against", "Score", "Ours", "Theirs", "Better by (95 % interval)"]
    header += ["p one-sided (Holm)", "p two-sided (Holm)"]
    rows = []
    for item in report["comparisons"]:
        percent, found = item["percent"], item["difference"]
        row = [item["baseline"], item["title"]]
        row += [number(item["ours"], percent), number(item["theirs"], percent)]
        row.append(f"{signed(found['value'], percent)} ({span(found, percent, signed)})")
        for side in ("one_sided", "two_sided"):
            adjusted = f" ({p_value(item[f'holm_{side}'])})" if item[side] else ""
            row.append(p_of(item, side) + adjusted)
        rows.append(row)
    parts = ["## Against the baselines", table(header, rows)]
    return [*parts, test_words(report)] if test_words(report) else parts
