"""A study in words: its cells, what they share, what they cost, how far they are, what is stale."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from surgvista_jax.counted import counted
from surgvista_jax.reports.study_cells import CELLS
from surgvista_jax.studies.clips import ASSUMED, COUNTED, FRAMES_OF_A_VIDEO, PUBLISHED
from surgvista_jax.studies.costs import Cost, Costs
from surgvista_jax.studies.layout import DATA, FEATURES, PRETRAIN
from surgvista_jax.studies.plan import Job
from surgvista_jax.studies.reading import Study
from surgvista_jax.studies.states import STALE, State

_GIB = 2.0**30
_SHOWN = 8  # lines of a kind on the screen; --json has all


@dataclass(frozen=True)
class Told:
    """What is known of a study.

    Attributes:
        study: its cells.
        jobs: in their order.
        states: folder of each run -> how far it is.
        costs: of each job, by its name.
        device: that they are of.
        sizes: dataset -> "counted", "published" or "assumed"; None where nothing is known.
        orphans: folders of cells that the study had, and has no more.
        missing: weights and datasets that are named and are not here.
    """

    study: Study
    jobs: Sequence[Job]
    states: Mapping[str, State]
    costs: Mapping[str, Cost]
    device: str
    sizes: Mapping[str, str | None]
    orphans: Sequence[str]
    missing: Sequence[str] = ()


def cost_of(job: Job, costs: Costs) -> Cost:
    """What a job costs."""
    if job.stage == CELLS:
        each = [
            costs.cell(run.cell, first=number == 0)
            for number, run in enumerate(job.runs)
            if run.cell is not None
        ]
        hours = [cost.hours for cost in each]
        whole = None if None in hours else sum(hour for hour in hours if hour is not None)
        return Cost(whole, sum(cost.disk for cost in each))
    start = job.cell.backbone.start
    if job.stage == PRETRAIN and not isinstance(start, str):
        return costs.pretraining(start)
    if job.stage == FEATURES:
        return costs.features(job.cell.backbone, job.cell.data)
    return Cost(0.0, 0.0)


def as_json(told: Told) -> dict:
    """All of it, for programs."""
    return {
        "study": told.study.name,
        "title": told.study.title,
        "device": told.device,
        "device_hours": _hours(told.costs.values()),
        "disk_bytes": sum(cost.disk for cost in told.costs.values()),
        "sizes_of_data": dict(told.sizes),
        "no_more_in_the_study": list(told.orphans),
        "not_here": list(told.missing),
        "jobs": [
            {
                "name": job.name,
                "stage": job.stage,
                "needs": list(job.needs),
                "cells": job.cells,
                "device_hours": told.costs[job.name].hours,
                "disk_bytes": told.costs[job.name].disk,
                "runs": [
                    {
                        "folder": run.folder,
                        "command": ["surgvista", *run.words],
                        "state": told.states[run.folder].name,
                        "why": told.states[run.folder].why,
                        "digest": run.definition.digest,
                    }
                    for run in job.runs
                ],
            }
            for job in told.jobs
        ],
    }


def in_words(told: Told) -> str:
    """The plan, for people."""
    study, jobs = told.study, told.jobs
    runs = [run for job in jobs for run in job.runs]
    lines = [
        f"{study.name}: {study.title}",
        f"{counted(len(study.cells), 'cell')}, {counted(len(runs), 'run')} in"
        f" {counted(len(jobs), 'job')}",
        "",
        *_rows_of_cells(told),
        "",
        *_shared(told),
        *_whole(told),
        *missing_in_words(told.missing),
        *_how_far(told),
        *stale_in_words(told.states),
        *_orphans(told),
    ]
    return "\n".join(lines)


def _rows_of_cells(told: Told) -> list[str]:
    """A row for each backbone and mode."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in told.jobs:
        if job.stage == CELLS and job.runs[0].cell is not None:
            cell = job.runs[0].cell
            groups.setdefault((cell.backbone.name, cell.mode), []).append(job)
    rows = [("weights", "mode", "cells", "device-hours")]
    for (weights, mode), jobs in groups.items():
        cells = [run.cell for job in jobs for run in job.runs if run.cell is not None]
        data = len({cell.data.name for cell in cells})
        seeds = len({cell.seed for cell in cells})
        said = f"{len(cells)} = {counted(data, 'dataset')} x {counted(seeds, 'seed')}"
        if len(cells) != data * seeds:
            said = f"{len(cells)}, of {counted(data, 'dataset')}"
        hours = _said(_hours(told.costs[job.name] for job in jobs))
        rows.append((weights, mode, said, hours))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]


def _shared(told: Told) -> list[str]:
    """What is done once for several cells."""
    lines = []
    for job in told.jobs:
        if job.stage in (DATA, PRETRAIN):
            hours = told.costs[job.name].hours
            cost = "" if hours == 0 else f", {_said(hours)} device-hours"
            lines.append(f"once for {counted(job.cells, 'cell')}: {job.name}{cost}")
    lines = [*lines[:_SHOWN], *_more(lines)]
    for what, jobs in (
        ("features for temporal heads", [job for job in told.jobs if job.stage == FEATURES]),
        ("features for linear probes", [job for job in told.jobs if len(job.runs) > 1]),
    ):
        if jobs:
            cost = _said(_hours(told.costs[job.name] for job in jobs))
            times, cells = counted(len(jobs), "time"), sum(job.cells for job in jobs)
            lines.append(f"{what}: {times} for {counted(cells, 'cell')}, {cost} device-hours")
    return lines or ["nothing is shared"]


def _whole(told: Told) -> list[str]:
    hours = _hours(told.costs.values())
    disk = sum(cost.disk for cost in told.costs.values()) / _GIB
    unknown = sorted(name for name, source in told.sizes.items() if source is None)
    lines = [
        f"about {_said(hours)} hours of one {told.device}, about {disk:,.1f} GiB of disk",
        "  estimated from the speeds that `surgvista bench plan` knows, by operations alone:"
        " starting, compiling and saving come on top, of temporal heads most of their time",
    ]
    for source, said in (
        (COUNTED, "their clips are counted"),
        (PUBLISHED, "their frames are as published"),
        (ASSUMED, f"a video is taken for {FRAMES_OF_A_VIDEO:,} frames where no number is known"),
    ):
        names = sorted(name for name, found in told.sizes.items() if found == source)
        if names:
            lines.append(f"  {', '.join(names)}: {said}")
    if unknown:
        lines.append(f"  {', '.join(unknown)}: of unknown size, and left out of the hours")
    return lines


def missing_in_words(missing: Sequence[str]) -> list[str]:
    """Which weights and datasets are not here, as what starts from them would fail."""
    lines = [f"no such file or folder here, and needed: {spec}" for spec in missing]
    return [*lines[:_SHOWN], *_more(lines)]


def _how_far(told: Told) -> list[str]:
    counts = Counter(state.name for state in told.states.values())
    said = ", ".join(f"{number} {name}" for name, number in counts.items())
    return [f"runs: {said}"]


def stale_in_words(states: Mapping[str, State]) -> list[str]:
    """What was begun with other definitions, and what can be done."""
    lines = [
        f"stale: {folder}: {state.why}" for folder, state in states.items() if state.name == STALE
    ]
    if not lines:
        return []
    advice = "stale runs are neither run nor replaced; --overwrite moves them to stale/"
    return [*lines[:_SHOWN], *_more(lines), advice]


def _orphans(told: Told) -> list[str]:
    left = [f"no more in the study, and left as it is: {folder}" for folder in told.orphans]
    return [*left[:_SHOWN], *_more(left)]


def _more(lines: Sequence[str]) -> list[str]:
    return [f"… and {len(lines) - _SHOWN} more (--json has all)"] if len(lines) > _SHOWN else []


def _hours(costs: Iterable[Cost]) -> float | None:
    """The sum of those that are known; None where none is."""
    known = [cost.hours for cost in costs if cost.hours is not None]
    return sum(known) if known else None


def _said(hours: float | None) -> str:
    if hours is None:
        return "?"
    if 0 < hours < 0.01:
        return "<0.01"
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:,.2f}"
