"""A report's tables and intervals in HTML."""

import re
from collections.abc import Callable, Sequence
from html import escape

from surgvista_jax.reports import charts
from surgvista_jax.reports.words import number, p_of, p_value, signed, span, test_words

OPEN_UP_TO = 30  # rows of a table that is shown without being asked for
_PHONE_COLUMNS = 4  # that fit on a phone beside each other, those of a matrix apart
_PHONE_MATRIX = 8
_PHONE_LETTERS = 29  # beside the first column
_BOLD = 1.15  # letters that a bold one takes
_NAMES = 18  # letters of a column of names, at least


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table that scrolls sideways by itself, and says so on a phone where it must.

    Header cells are escaped, cells are HTML; a header stands as the names or numbers below it do.
    """
    first = rows[0] if rows else [""] * len(header)
    head = "".join(
        f'<th class="names">{escape(cell)}</th>'
        if below.startswith('<td class="names"')
        else f"<th>{escape(cell)}</th>"
        for cell, below in zip(header, first, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    columns = list(zip(header, *rows, strict=True))
    wide = len(header) > (_PHONE_MATRIX if kind == "matrix" else _PHONE_COLUMNS)
    wide |= kind != "matrix" and sum(map(_letters, columns[1:])) > _PHONE_LETTERS
    size = ' wide" tabindex="0' if wide else ""
    hint = '<p class="hint wide">Scrolls sideways →</p>' if wide else ""
    return (
        f'{hint}<div class="scroll{size}"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _letters(column: Sequence[str]) -> float:
    """About as many letters as a column after the first is wide, its margins included."""
    title, *cells = column
    if any(cell.startswith('<td class="names"') for cell in cells):
        return _NAMES  # which are broken into lines
    longest = [len(re.sub("<br>.*|<[^>]*>", "", cell)) for cell in cells]
    return 2 + max(_BOLD * len(title), *longest)


def breakable(name: str) -> str:
    """A name as HTML that may break where a CamelCase word or an underscore allows it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[_/])", "<wbr>", escape(name))


def shaded(value: float | None, text: str, strength: float = 0.55) -> str:
    """A cell whose background grows with a value in 0..1."""
    if value is None:
        return f"<td>{text}</td>"
    alpha = strength * min(max(value, 0.0), 1.0)
    return f'<td style="background:rgba(var(--good),{alpha:.2f})">{text}</td>'


def class_tables(report: dict, section: Callable[[str, str], str]) -> list[str]:
    """One section a table; long ones are folded."""
    parts = []
    for table in report["tables"]:
        names = list(table["columns"])
        rows = []
        for k, label in enumerate(table["classes"]):
            row = [breakable(label)]
            for name in names:
                value = table["columns"][name][k]
                if name in table["counts"]:
                    row.append(f"{value:,.0f}")
                elif "std" in name:
                    row.append(number(value))
                else:
                    row.append(shaded(value, number(value), 0.4))
            rows.append(row)
        inner = html_table(["In percent", *names], rows)
        if len(rows) > OPEN_UP_TO:
            inner = f"<details><summary>Table of {len(rows)} classes</summary>{inner}</details>"
        note = f'<p class="soft">{escape(table["note"])}</p>' if table["note"] else ""
        parts.append(section(table["title"], note + inner))
    return parts


def whole_percent(share: float) -> str:
    """ "0" for nothing at all, "<1" for a little, else whole percent; as HTML."""
    return "&lt;1" if 0 < share < 0.005 else f"{100 * share:.0f}"


def confusion_matrix(confusion: dict) -> str:
    """Rows: truth, shares of the row; columns: prediction, by number."""
    classes, counts = confusion["classes"], confusion["counts"]
    if len(classes) > OPEN_UP_TO:
        return ""
    rows = []
    for k, name in enumerate(classes):
        total = sum(counts[k])
        row = [f"{k} {breakable(name)}"]
        for j, count in enumerate(counts[k]):
            share = count / total if total else None
            text = "–" if share is None else whole_percent(share)
            cell = shaded(share, text, 0.85)
            row.append(cell.replace("<td", f'<td title="{count:,.0f} frames as {j}"', 1))
        rows.append(row)
    words = (
        '<p class="soft">Each row is a true class, each column a predicted one, by the row’s '
        "number; shares of the row in percent.</p>"
    )
    if confusion["runs"] > 1:
        words += f'<p class="soft">Frames of {confusion["runs"]} runs together.</p>'
    return words + html_table(["", *map(str, range(len(classes)))], rows, "matrix")


def comparison_section(report: dict) -> str:
    """A forest plot of differences for each kind of unit, then the tests."""
    parts, several = [], len(report["baselines"]) > 1
    for percent in (True, False):
        items = [item for item in report["comparisons"] if item["percent"] == percent]
        if not items:
            continue
        rows = []
        for item in items:
            found = item["difference"]
            name = item["title"] + (f" against {item['baseline']}" if several else "")
            text = f"{signed(found['value'], percent)} ({span(found, percent, signed)})"
            rows.append((name, found, text))
        scale = charts.scale_of([item["difference"] for item in items], (-1.0, 1.0), zero=True)
        names = ", ".join(base["name"] for base in report["baselines"])
        unit = "Percentage points" if percent else "Difference"
        parts.append(
            f'<p class="soft">{unit} better than {escape(names)}; right of 0 is better. '
            "Bars: 95 % intervals.</p>"
            + charts.forest(rows, scale, (signed(scale.low, percent), signed(scale.high, percent)))
        )
    header = ["Score", *["Against"] * several, "Ours", "Theirs"]
    header += ["p one-sided", "Holm", "p two-sided", "Holm"]
    lines = []
    for item in report["comparisons"]:
        row = [escape(item["title"])]
        row += [f'<td class="names">{breakable(item["baseline"])}</td>'] * several
        row += [number(item["ours"], item["percent"]), number(item["theirs"], item["percent"])]
        for side in ("one_sided", "two_sided"):
            row.append(p_of(item, side))
            adjusted = p_value(item[f"holm_{side}"])
            row.append(f"<b>{adjusted}</b>" if item[side] else "–")
        lines.append(row)
    parts.append(html_table(header, lines))
    parts.append(f'<p class="soft" style="margin-top:8px">{escape(test_words(report))}</p>')
    return "".join(parts)


def group_section(report: dict) -> str:
    """A forest plot of the groups for each main score, up to the first four scores."""
    groups = report["groups"]
    entries = {entry["key"]: entry for entry in report["scores"]}
    items = groups.get("roles", []) + groups["items"]
    parts = []
    for key in list(groups["items"][0]["scores"])[:4]:
        percent = entries[key]["percent"]
        rows = []
        for item in items[:OPEN_UP_TO]:
            found = item["scores"][key]
            role = f", {item['role']}" if item.get("role") else ""
            name = f"{item['name']}{role} ({item['videos']})"
            text = number(found["value"], percent)
            if found["low"] is not None:
                text += f" ({span(found, percent)})"
            rows.append((name, found, text))
        scale = charts.scale_of([row[1] for row in rows], (0.0, 1.0))
        parts.append(f"<h3>{escape(entries[key]['title'])}</h3>")
        ends = number(scale.low, percent), number(scale.high, percent)
        parts.append(charts.forest(rows, scale, ends))
        if "gap" in groups:
            found = groups["gap"][key]
            parts.append(
                f'<p class="soft">Internal better by {signed(found["value"], percent)} '
                f"({span(found, percent, signed)}), groups drawn apart.</p>"
            )
    if len(items) > OPEN_UP_TO:
        parts.append(f'<p class="soft">The first {OPEN_UP_TO} of {len(items)} are shown.</p>')
    unit = report["unit"]
    parts.append(
        f'<p class="soft">In brackets: videos. Bars: 95 % intervals over the {unit}s of a group; '
        f"a group of one {unit} has none.</p>"
    )
    return "".join(parts)
