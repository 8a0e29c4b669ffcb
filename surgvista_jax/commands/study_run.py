"""The command `surgvista study STUDY.py`: a file that names cells in, a run folder for each out."""

import argparse
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surgvista_jax.config.code import find_config, run_config
from surgvista_jax.studies.costs import Costs
from surgvista_jax.studies.layout import CELLS
from surgvista_jax.studies.plan import plan
from surgvista_jax.studies.reading import read_study
from surgvista_jax.studies.states import state_of
from surgvista_jax.studies.telling import Told, as_json, cost_of, in_words
from surgvista_jax.training.planning import DEVICES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config",
        metavar="STUDY.py[:ARGUMENT]",
        help="a file with study(config), such as configs/studies/comparison.py",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the study's folder")
    parser.add_argument(
        "--dry-run",
        required=True,
        action="store_true",
        help="print the plan, and run nothing",
    )
    parser.add_argument(
        "--device",
        choices=sorted(DEVICES),
        default="h100",
        help="that the plan's hours are of (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="with --dry-run: one JSON object")
    parser.epilog = (
        "--config.a.b=VALUE replaces a value of the study's configuration, such as"
        " --config.seeds=5."
    )


@functools.cache
def _values(spec: str) -> Mapping[str, Any]:
    """The keys and values of a configuration's file."""
    path, _, argument = spec.partition(":")
    return run_config(find_config(path), argument).to_dict()


def main(arguments: argparse.Namespace) -> int:
    study = read_study(arguments.config, arguments.overrides)
    out = arguments.out
    jobs = plan(study.cells, out, _values)
    costs = Costs(_values, arguments.device)
    told = Told(
        study,
        jobs,
        {run.folder: state_of(out, run) for job in jobs for run in job.runs},
        {job.name: cost_of(job, costs) for job in jobs},
        arguments.device,
        costs.sources(),
        _orphans(out, {cell.name for cell in study.cells}),
    )
    print(json.dumps(as_json(told)) if arguments.json else in_words(told))
    return 0


def _orphans(out: Path, names: set[str]) -> list[str]:
    """Cells' folders that the study has no more."""
    found = out.glob(f"{CELLS}/*/*/*/seed*")
    folders = [path.relative_to(out).as_posix() for path in found]
    return sorted(folder for folder in folders if folder.removeprefix(f"{CELLS}/") not in names)
