"""A report on a terminal."""

from surgvista_jax.reports.names import visible
from surgvista_jax.reports.words import (
    class_rows,
    interval_words,
    number,
    p_of,
    p_value,
    runs_words,
    sections,
    signed,
    span,
    spread,
    test_words,
    title_of,
)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Columns aligned, the first to the left and the rest to the right."""
    header, *rows = [[visible(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]

    def line(cells: list[str]) -> str:
        parts = [
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    return "\n".join([line(header), "  ".join("-" * w for w in widths), *map(line, rows)])


def screen(report: dict) -> str:
    """Main scores, the other conventions, classes, groups and comparisons as text."""
    parts = [
        f"{visible(report['system']['name'])} by {report['protocol']['label']}\n"
        f"{report['num_frames']} frames of {visible(report['split'])}{runs_words(report)}\n"
        f"{interval_words(report)}"
    ]
    for title, entries in sections(report["scores"]):
        rows = []
        for entry in entries:
            found = number(entry["value"], entry["percent"])
            if "seeds" in entry:
                found += f" ± {number(entry['seeds']['std'], entry['percent'])}"
            rows.append([title_of(entry), found, span(entry, entry["percent"]), spread(entry)])
        header = [title or "Main scores", "score", "95 % interval", "std (N-1)"]
        if "seeds" in entries[0]:
            header[1] = f"mean ± std of {entries[0]['seeds']['number']} runs"
        parts.append(table(header, rows))
    shown = report["tables"][0]
    if len(shown["classes"]) <= 30:
        parts.append(class_table(shown))
    if report.get("groups"):
        parts.append(group_table(report))
    if report["comparisons"]:
        parts.append(comparison_table(report) + "\n" + test_words(report))
    parts += [f"Note: {visible(note)}" for note in report["notes"]]
    return "\n\n".join(parts)


def class_table(shown: dict) -> str:
    return table([f"{shown['title']} (%)", *shown["columns"]], class_rows(shown))


def group_table(report: dict) -> str:
    groups = report["groups"]
    entries = {entry["key"]: entry for entry in report["scores"]}
    keys = list(groups["items"][0]["scores"])
    items = groups["items"] + groups.get("roles", [])
    rows = [
        [
            item["name"] + (f" ({item['role']})" if item.get("role") else ""),
            str(item["videos"]),
            *(
                f"{number(item['scores'][k]['value'], entries[k]['percent'])}"
                f" [{span(item['scores'][k], entries[k]['percent'])}]"
                for k in keys
            ),
        ]
        for item in items
    ]
    if "gap" in groups:
        gap = groups["gap"]
        rows.append(
            ["internal better by", ""]
            + [
                f"{signed(gap[k]['value'], entries[k]['percent'])}"
                f" [{span(gap[k], entries[k]['percent'], signed)}]"
                for k in keys
            ]
        )
    return table([groups["kind"], "videos", *(entries[k]["title"] for k in keys)], rows)


def comparison_table(report: dict) -> str:
    header = ["Against", "score", "ours", "theirs", "better by", "95 % interval"]
    header += ["p one-sided", "Holm", "p two-sided", "Holm"]
    rows = []
    for item in report["comparisons"]:
        percent = item["percent"]
        row = [item["baseline"], item["title"], number(item["ours"], percent)]
        row += [number(item["theirs"], percent), signed(item["difference"]["value"], percent)]
        row.append(span(item["difference"], percent, signed))
        for side in ("one_sided", "two_sided"):
            row += [p_of(item, side), p_value(item[f"holm_{side}"])]
        rows.append(row)
    return table(header, rows)
