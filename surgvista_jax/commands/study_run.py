"""The command `surgvista study STUDY.py`: a file that names cells in, a run folder for each out."""

import argparse
import contextlib
import functools
import json
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.config.code import find_config, run_config
from surgvista_jax.counted import counted
from surgvista_jax.errors import STANDS_STILL, TOLD_TO_STOP, UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.ownership import add_overwrite, in_folder
from surgvista_jax.parts.option import Part, parse_part
from surgvista_jax.reports.study_cells import CELLS, STUDY
from surgvista_jax.studies.contents import Contents
from surgvista_jax.studies.costs import Costs
from surgvista_jax.studies.data_here import data_not_here
from surgvista_jax.studies.described import check_configs, described
from surgvista_jax.studies.layout import STAGES
from surgvista_jax.studies.places import places_here
from surgvista_jax.studies.plan import Job, plan
from surgvista_jax.studies.reading import Study, read_study
from surgvista_jax.studies.running import Outcome, run_jobs
from surgvista_jax.studies.states import (
    BEGUN,
    TO_DO,
    as_begun,
    move_stale,
    note_definition,
    state_of,
)
from surgvista_jax.studies.telling import (
    Told,
    as_json,
    cost_of,
    in_words,
    missing_in_words,
    stale_in_words,
)
from surgvista_jax.training.planning import DEVICES
from surgvista_jax.writing import CannotWrite, write_json

# Files that a study does not have, and whose folder has them.
_OTHERS = {"dataset.json": "a dataset folder", "config.json": "the folder of a run"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config",
        metavar="STUDY.py[:ARGUMENT]",
        help="a file with study(config), such as configs/studies/comparison.py",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="the study's folder; it is continued"
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--dry-run", action="store_true", help="print the plan and how far it is, and run nothing"
    )
    parser.add_argument(
        "--device",
        choices=sorted(DEVICES),
        default="h100",
        help="whose hours the plan estimates (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="with --dry-run: print one JSON object")
    instead.add_argument(
        "--commands",
        action="store_true",
        help="print the commands of runs that are not done, to be run elsewhere",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="run N jobs side by side, each on a GPU or a share of the cores (%(default)s)",
    )
    parser.add_argument(
        "--stage",
        choices=STAGES,
        help="run the jobs of one stage alone; those before it have to be done",
    )
    parser.add_argument(
        "--only",
        type=_only,
        metavar="I/N",
        help="of a stage every Nth job, from the Ith on, for element I of an array of N",
    )
    add_overwrite(parser)
    parser.epilog = (
        "--config.a.b=VALUE replaces a value of the study's configuration, such as"
        " --config.seeds=5. Each run has a folder of its own, which says how far it is: the same"
        " command goes on. What was begun with another definition is stale: it is neither run nor"
        " replaced, and --overwrite moves it to DIR/stale/. `surgvista study report DIR` follows."
    )


def _only(text: str) -> Part:
    try:
        return parse_part(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix(f"--part {text}: ")) from None


@functools.cache
def _values(spec: str) -> Mapping[str, Any]:
    """The keys and values of a configuration's file."""
    path, _, argument = spec.partition(":")
    return run_config(find_config(path), argument).to_dict()


def main(arguments: argparse.Namespace) -> int:
    study = read_study(arguments.config, arguments.overrides)
    out = arguments.out
    if arguments.only is not None and arguments.stage is None:
        raise UserError("--only: is of one stage; say --stage too")
    if arguments.json and not arguments.dry_run:
        raise UserError("--json: is of the plan; say --dry-run too")
    check_configs(study, arguments.config, _values)
    contents = Contents(out, begins=not arguments.dry_run, tell=_tell)
    jobs = plan(study.cells, out, _values, contents, functools.partial(as_begun, out))
    missing = (*contents.missing, *data_not_here(study.cells))
    if arguments.dry_run:
        with contextlib.suppress(CannotWrite):  # such as of another user's study
            contents.remember()
        told = _told(study, jobs, missing, arguments)
        print(json.dumps(as_json(told)) if arguments.json else in_words(told))
        return 0
    asked = _asked(jobs, arguments)
    places = [] if arguments.commands else places_here(arguments.jobs)
    _write_study(study, jobs, out, arguments.overwrite)
    contents.remember()
    if arguments.overwrite:
        for line in move_stale(out, [run for job in asked for run in job.runs]):
            _tell(line)
    if arguments.commands:
        _print_commands(asked, out)
        return 0
    for line in missing_in_words(missing):
        _tell(line)
    outcome = run_jobs(jobs, asked, out, places, _tell)
    return _end(asked, out, outcome, whole=len(asked) == len(jobs))


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _told(
    study: Study, jobs: Sequence[Job], missing: Sequence[str], arguments: argparse.Namespace
) -> Told:
    costs = Costs(_values, arguments.device)
    return Told(
        study,
        jobs,
        {run.folder: state_of(arguments.out, run) for job in jobs for run in job.runs},
        {job.name: cost_of(job, costs) for job in jobs},
        arguments.device,
        costs.sources(),
        _orphans(arguments.out, {cell.name for cell in study.cells}),
        missing,
    )


def _asked(jobs: Sequence[Job], arguments: argparse.Namespace) -> list[Job]:
    asked = [job for job in jobs if arguments.stage in (None, job.stage)]
    part = arguments.only
    return asked if part is None else asked[part.number - 1 :: part.of]


def _print_commands(asked: Sequence[Job], out: Path) -> None:
    """Prints the commands, and notes what each is begun as, so that its folder is known later.

    Of what is stale there is none, which is said.
    """
    states = {}
    for job in asked:
        for run in job.runs:
            states[run.folder] = state_of(out, run)
            if states[run.folder].name in (TO_DO, BEGUN):
                note_definition(out, run)
                print(shlex.join(("surgvista", *run.words)))
    for line in stale_in_words(states):
        _tell(line)


def _write_study(study: Study, jobs: Sequence[Job], out: Path, overwrite: bool) -> None:
    """Writes `study.json`, if it is another one than there is.

    Of several that begin at once, such as elements of an array, one writes it.

    Raises:
        UserError: the folder is another study's, or no study's; what is there was edited, or is
            damaged.
    """
    path, values = out / STUDY, described(study, jobs, _values)
    for file, what in _OTHERS.items():
        if (out / file).is_file():
            raise UserError(f"{out}: is {what}; take another --out")
    if _is_there(path, values):
        return
    try:
        write_json(path, values, in_folder(out, overwrite))
    except UserError:
        if not _is_there(path, values):
            raise


def _is_there(path: Path, values: Mapping[str, Any]) -> bool:
    """Whether the same `study.json` is there; one that is damaged is for its owner to replace."""
    try:
        before = read_object(path)
    except UserError:
        return False
    if before.get("study") != values["study"]:
        raise UserError(f"{path}: is of the study {before.get('study')!r}; take another --out")
    return before == values


def _end(asked: Sequence[Job], out: Path, outcome: Outcome, whole: bool) -> int:
    """Says how it ended: what failed, what waits, what is stale; of the whole study what is next.

    A stage or an element does not know whether others have done their parts.
    """
    states = {run.folder: state_of(out, run) for job in asked for run in job.runs}
    waiting = {} if outcome.stopped else Counter(filter(None, outcome.waiting.values()))
    for line in (
        *(f"failed: {folder}: {why}" for folder, why in outcome.failed.items()),
        *(
            f"not begun, for want of {why}: {counted(number, 'job')}"
            for why, number in waiting.items()
        ),
        *stale_in_words(states),
    ):
        print(line, file=sys.stderr)
    print(f"{out}: {len(outcome.done)} of {len(states)} runs are done")
    if outcome.stopped:
        print("told to stop; the same command goes on", file=sys.stderr)
        return TOLD_TO_STOP
    if STANDS_STILL in outcome.statuses.values():  # by which a scheduler begins it again
        return STANDS_STILL
    if len(outcome.done) < len(states):
        return 1
    if whole:
        print(f"next: surgvista study report {shlex.quote(str(out))}", file=sys.stderr)
    return 0


def _orphans(out: Path, names: set[str]) -> list[str]:
    """Cells' folders that the study has no more."""
    found = out.glob(f"{CELLS}/*/*/*/seed*")
    folders = [path.relative_to(out).as_posix() for path in found]
    return sorted(folder for folder in folders if folder.removeprefix(f"{CELLS}/") not in names)
