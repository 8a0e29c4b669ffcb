"""The numbers of a report in words, the same on screen, in Markdown and in HTML."""

from collections.abc import Callable, Sequence

FEW = 20  # videos, or patients: below, a report says that its intervals say little


def number(value: float | None, percent: bool = True) -> str:
    """ "87.31" for 0.8731 in percent, "0.1234" else, a dash for nothing."""
    if value is None:
        return "–"
    return f"{100 * value:.2f}" if percent else f"{value:.4f}"


def signed(value: float | None, percent: bool = True) -> str:
    if value is None:
        return "–"
    return f"{100 * value:+.2f}" if percent else f"{value:+.4f}"


def span(
    entry: dict, percent: bool = True, write: Callable[[float | None, bool], str] = number
) -> str:
    """The interval of an entry with low and high: "85.1 to 89.0"."""
    if entry["low"] is None:
        return "–"
    return f"{write(entry['low'], percent)} to {write(entry['high'], percent)}"


def clock(seconds: float) -> str:
    """A time in a video: "1:05" of hours and minutes, "1:05:09" where seconds are left."""
    minutes, left = divmod(int(seconds + 0.5), 60)
    return f"{minutes // 60}:{minutes % 60:02d}" + (f":{left:02d}" if left else "")


def sureness(confidence: float | None) -> str:
    """ "99.93 %"; a dash for none. Only what is all is 100 %."""
    if confidence is None:
        return "–"
    return "100 %" if confidence == 1 else f"{min(100 * confidence, 99.99):.2f} %"


def is_scored(items: Sequence[dict]) -> bool:
    """Whether mistakes have a confidence."""
    return any(item["confidence"] is not None for item in items)


def surest_title(items: Sequence[dict]) -> str:
    """What the first mistakes are: by score, or where there are only decisions by length."""
    return "The surest mistakes" if is_scored(items) else "The longest mistakes, in their middle"


def p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if value >= 1e-4 else f"{value:.1e}"


def spread(entry: dict) -> str:
    """The standard deviations that a score has."""
    parts = []
    if entry.get("std_over_videos") is not None:
        parts.append(f"{number(entry['std_over_videos'], entry['percent'])} over videos")
    if entry.get("std_over_classes") is not None:
        parts.append(f"{number(entry['std_over_classes'], entry['percent'])} over classes")
    return ", ".join(parts)


def sections(scores: list[dict]) -> list[tuple[str, list[dict]]]:
    """Scores by heading, in order; the main ones first under ""."""
    found: dict[str, list[dict]] = {}
    for entry in scores:
        found.setdefault(entry["section"], []).append(entry)
    return list(found.items())


def title_of(entry: dict) -> str:
    unit = " (%)" if entry["percent"] else ""
    arrow = "" if entry["higher_is_better"] else ", lower is better"
    return f"{entry['title']}{unit}{arrow}"


def class_rows(shown: dict) -> list[list[str]]:
    """The cells of a table by class, its classes' names first."""
    return [
        [
            label,
            *(
                f"{values[k]:.0f}" if name in shown["counts"] else number(values[k])
                for name, values in shown["columns"].items()
            ),
        ]
        for k, label in enumerate(shown["classes"])
    ]


def runs_words(report: dict) -> str:
    """Of how many runs scores are means, as the end of a line."""
    number_of_runs = len(report["system"]["runs"])
    return f"; means of {number_of_runs} runs" if number_of_runs > 1 else ""


def interval_words(report: dict) -> str:
    boot = report["bootstrap"]
    if report["num_units"] < 2:
        return f"No intervals: a single {report['unit']} cannot tell how sure a score is."
    words = (
        f"{100 * boot['level']:.0f} % intervals: studentised bootstrap over {report['num_units']} "
        f"{report['unit']}s, drawn with replacement {boot['samples']} times (seed {boot['seed']})."
    )
    if report["num_units"] < FEW:
        words += (
            f" {report['num_units']} {report['unit']}s are few: the intervals are wide, hold the "
            "true score somewhat less often than they say, and miss what goes wrong in one "
            f"operation of {FEW}, which a set of this size may not hold."
        )
    return words


def p_of(item: dict, side: str) -> str:
    """The p-value of a comparison's test, or why there is no test."""
    test = item[side]
    return p_value(test["p_value"]) if test else item.get("untested") or p_value(None)


def test_words(report: dict) -> str:
    """What the significance table did, in words."""
    items = [item for item in report["comparisons"] if item["one_sided"]]
    if not items:
        return ""
    first = items[0]["one_sided"]
    both = items[0]["two_sided"]
    rule = {
        "wilcox": "differences of exactly zero are dropped before ranking",
        "pratt": "differences of exactly zero are ranked, then their ranks dropped",
    }[first["zero_rule"]]
    return (
        f"Wilcoxon signed-rank test, {report['unit']}s paired ({first['num_pairs']} pairs); {rule} "
        f"(zero rule “{first['zero_rule']}”); p is exact for the ranks found, ties included, up to "
        f"200 pairs. With {first['num_pairs']} pairs the smallest p that can be reached is "
        f"{p_value(first['smallest_p'])} one-sided and {p_value(both['smallest_p'])} two-sided. "
        f"Holm's adjustment covers the {len(items)} tests of this table. One-sided: this model is "
        "better than the baseline. Differences are signed so that positive means better; their "
        "intervals draw the same videos for both."
    )


def files_words(system: dict) -> list[str]:
    """One line a run: what was read, with the beginning of each digest."""
    lines = []
    for run in system["runs"]:
        about = ", ".join(
            f"{key} {run['meta'][key]}"
            for key in ("model", "dataset", "split")
            if run["meta"].get(key)
        )
        files = ", ".join(
            f"{file['path']} (sha256 {file['sha256'][:16]}…)" for file in run["files"]
        )
        lines.append(f"{about}: {files}" if about else files or run["source"])
    return lines
