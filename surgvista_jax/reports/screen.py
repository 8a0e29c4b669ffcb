"""A report on a terminal: all of it, or what one reads first of one that was written."""

from collections.abc import Iterator
from pathlib import Path

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

_FEW_CLASSES, _MOST_CLASSES = 12, 30  # of which there is a table beside a few scores, or all


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
    scores = (score_table(title, entries) for title, entries in sections(report["scores"]))
    return "\n\n".join((_heading(report), *scores, *_tables(report, _MOST_CLASSES)))


def summary(report: dict, folder: Path) -> str:
    """What one reads first, as text, and where the rest is.

    Args:
        report: whose three files were written.
        folder: where.
    """
    (title, entries), *others = sections(report["scores"])
    tables = _tables(report, _FEW_CLASSES)
    held = [f"{sum(len(more) for _, more in others)} other scores"] * bool(others)
    held += ["each class", "each video"]
    written = (
        f"written: {folder}/report.html, report.md, report.json"
        f" ({', '.join(held[:-1])} and {held[-1]} too)"
    )
    return "\n\n".join((_heading(report), score_table(title, entries), *tables, written))


def _heading(report: dict) -> str:
    return (
        f"{visible(report['system']['name'])} by {report['protocol']['label']}\n"
        f"{report['num_frames']} frames of {visible(report['split'])}{runs_words(report)}\n"
        f"{interval_words(report)}"
    )


def _tables(report: dict, most_classes: int) -> Iterator[str]:
    """Classes, if they are no more than so many; groups, comparisons and notes, if there are."""
    shown = report["tables"][0]
    if len(shown["classes"]) <= most_classes:
        yield class_table(shown)
    if report.get("groups"):
        yield group_table(report)
    if report["comparisons"]:
        yield comparison_table(report) + "\n" + test_words(report)
    yield from (f"Note: {visible(note)}" for note in report["notes"])


def score_table(title: str, entries: list[dict]) -> str:
    """The scores of one section."""
    rows = []
    for entry in entries:
        found = number(entry["value"], entry["percent"])
        if "seeds" in entry:
            found += f" ± {number(entry['seeds']['std'], entry['percent'])}"
        rows.append([title_of(entry), found, span(entry, entry["percent"]), spread(entry)])
    header = [title or "Main scores", "score", "95 % interval", "std (N-1)"]
    if "seeds" in entries[0]:
        header[1] = f"mean ± std of {entries[0]['seeds']['number']} runs"
    return table(header, rows)


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
