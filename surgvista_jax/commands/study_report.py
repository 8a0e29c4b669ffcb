"""The command `surgvista study report`: the runs of a study -> one page and its tables."""

import argparse
import sys
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.ownership import add_overwrite, in_folder
from surgvista_jax.reports.names import visible
from surgvista_jax.reports.screen import table
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.files import FILES, FOLDER, write_study_report
from surgvista_jax.studies.report import build_study_report
from surgvista_jax.studies.units import UNKNOWN
from surgvista_jax.studies.words import with_spread
from surgvista_jax.weights.runs import find_run

_MOST_SAMPLES = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="DIR", help="the folder of a study")
    parser.add_argument("--out", type=Path, help=f"folder for {', '.join(FILES)} [DIR/{FOLDER}]")
    add_overwrite(parser)
    parser.add_argument("--samples", type=int, default=1000, help="bootstrap resamples [1000]")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap [0]")


def main(arguments: argparse.Namespace) -> None:
    if not 1 <= arguments.samples <= _MOST_SAMPLES:
        raise UserError(f"--samples {arguments.samples}: 1 to {_MOST_SAMPLES:,} are possible")
    if arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed}: must be 0 or more")
    out = arguments.out or arguments.study / FOLDER
    study = collect(arguments.study)
    owned = in_folder(out, arguments.overwrite)
    owned.check(out / name for name in FILES)
    report = build_study_report(
        study, samples=arguments.samples, seed=arguments.seed, about=_about, say=_tell
    )
    write_study_report(report, out, owned)
    print(_screen(report))
    print(f"\nwritten: {out}/{', '.join(FILES)}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _about(folder: Path) -> dict[str, Any]:
    """What the best checkpoint of a run says of its model; {} where there is none to read."""
    try:
        return find_run(folder, temporal=True).about
    except UserError:
        return {}


def _screen(report: dict[str, Any]) -> str:
    """The main scores as text, and what has no result."""
    parts = [f"{report['title']}\n{report['finished']} of {report['planned']} runs have a result"]
    for panel in report["panels"]:
        title = f"{panel['dataset']}, {panel['mode']}"
        main = next((s["title"] for s in panel["scores"] if s["key"] == panel["main"]), "")
        rows = [
            [
                row["weights"],
                with_spread(row["scores"].get(panel["main"])),
                f"{len(row['seeds'])} of {len(row['seeds_planned'])}",
            ]
            for row in panel["rows"]
        ]
        parts.append(table([title, main or "no result", "seeds"], rows))
    # Intervals over videos are narrower than over patients that have several.
    whose = {panel["dataset"]: panel.get("why_unit", "") for panel in report["panels"]}
    drawn = [
        f"{dataset}: drawn and paired are videos: {visible(why)}"
        for dataset, why in whose.items()
        if why.startswith(UNKNOWN)
    ]
    if drawn:
        parts.append("\n".join(drawn))
    if report["lacking"]:
        lines = [f"{entry['cell']}: {entry['why']}" for entry in report["lacking"]]
        parts.append("Without a result:\n" + "\n".join(lines))
    return "\n\n".join(parts)
