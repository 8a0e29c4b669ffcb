"""The command `surgvista data list`: the datasets that can be converted, and their facts."""

import argparse
import json
import textwrap
from collections.abc import Iterable

from surgvista_jax.counted import counted
from surgvista_jax.data import datasets
from surgvista_jax.data.conversion.official import Counts, Official

WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista data list`."""
    parser.add_argument("name", nargs="?", help="one of them: its classes and its folder layout")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def main(arguments: argparse.Namespace) -> None:
    """Prints a line for each dataset, or all that is known of one."""
    if arguments.name is not None:
        official = datasets.find(arguments.name)
        print(json.dumps(facts(official), indent=2) if arguments.json else describe(official))
        return
    known = datasets.registry().values()
    if arguments.json:
        print(json.dumps([facts(official) for official in known], indent=2))
    else:
        print(table(known), "\n\ncentre; licence; where to ask for it; what to cite:", sep="")
        print(origins(known))
        print("\nAll about one: surgvista data list NAME")


def facts(official: Official) -> dict:
    """All facts of a dataset, as JSON holds them."""
    return {
        "name": official.name,
        "title": official.title,
        "task": official.task,
        "label_kind": official.label_kind,
        "classes": list(official.classes),
        "splits": {
            name: {"videos": counts.videos, "frames": counts.frames}
            for name, counts in official.published.items()
        },
        "fps": official.extract.fps,
        "cut_margins": official.extract.cut_margins,
        "procedure": official.procedure,
        "centre": official.centre,
        "licence": official.licence,
        "access": official.access,
        "citation": official.citation,
        "layout": official.layout,
    }


def table(known: Iterable[Official]) -> str:
    """One line for each dataset; videos and frames by split, "?" where none are published."""
    rows = [("name", "task", "classes", "splits", "videos", "frames", "procedure")]
    for official in known:
        splits = {k: v for k, v in official.published.items() if "/" not in k}
        splits = splits or dict(list(official.published.items())[:3])
        rows.append(
            (
                official.name,
                official.task,
                str(len(official.classes) or "-"),
                "/".join(name.rpartition("/")[2] for name in splits) or "-",
                _by_split([counts.videos for counts in splits.values()]),
                _by_split([counts.frames for counts in splits.values()]),
                official.procedure,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def origins(known: Iterable[Official]) -> str:
    """Where each dataset comes from: centre, licence, where to ask for it, citation."""
    width = max(len(official.name) for official in known) + 2
    paragraphs = []
    for official in known:
        parts = (official.centre, official.licence, official.access, official.citation)
        text = official.name.ljust(width) + "; ".join(filter(None, parts))
        paragraphs += textwrap.wrap(
            text,
            WIDTH,
            subsequent_indent=" " * width,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(paragraphs)


def describe(official: Official) -> str:
    """All about one dataset, as a page of text."""
    kind = "several at a time" if official.label_kind == "multi" else "one at a time"
    task = official.task if official.task != "none" else "none (for pretraining)"
    lines = [f"{official.name}: {official.title}", ""]
    for key, value in (
        ("task", task),
        ("procedure", official.procedure),
        ("centre", official.centre),
        ("licence", official.licence),
        ("ask at", official.access),
        ("cite", official.citation),
        ("frames", f"{official.extract.fps:g} a second are kept"),
    ):
        if not value:
            continue
        lines += textwrap.wrap(
            f"{key:<10} {value}",
            WIDTH,
            subsequent_indent=" " * 11,
            break_long_words=False,
            break_on_hyphens=False,
        )
    if official.extract.cut_margins:
        lines.append("           black margins are cut off (--margins keep leaves them)")
    if official.published:
        lines += ["", "splits, as published:"]
        lines += [f"  {name:<18} {_counts(c)}" for name, c in official.published.items()]
    if official.classes:
        lines += ["", f"{counted(len(official.classes), 'class', 'classes')}, {kind}:"]
        lines += [f"  {index:>3} {name}" for index, name in enumerate(official.classes)]
    lines += ["", "the folder that is expected:", textwrap.indent(official.layout, "  "), ""]
    lines += [
        "convert it:",
        f"  surgvista data convert {official.name} --source SOURCE --out {official.name.upper()}",
    ]
    return "\n".join(lines)


def _by_split(numbers: list[int | None]) -> str:
    return "/".join("?" if number is None else f"{number:,}" for number in numbers) or "-"


def _counts(counts: Counts) -> str:
    videos = "? videos" if counts.videos is None else counted(counts.videos, "video")
    return videos + ("" if counts.frames is None else f", {counted(counts.frames, 'frame')}")
