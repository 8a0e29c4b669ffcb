"""What `study.json` says: the cells of a study, its datasets and its pretrainings, in its order."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.reports.study_cells import CELLS
from surgvista_jax.studies.cells import Cell, Data, Pretraining
from surgvista_jax.studies.collect import FORMAT
from surgvista_jax.studies.layout import DATA, PRETRAIN
from surgvista_jax.studies.plan import Configs, Job, seen_by
from surgvista_jax.studies.reading import Study
from surgvista_jax.training.agreement import flat


def check_configs(study: Study, spec: str, configs: Configs) -> None:
    """Refuses configurations of another program than the one that is to take them.

    Args:
        spec: the study's file, for the message.

    Raises:
        UserError: one is not there, or lacks what each of its program has.
    """
    wanted: dict[tuple[str, str], tuple[str, str]] = {}
    for cell in study.cells:
        named = f"the data {cell.data.name!r}"
        wanted[cell.config[0], "evaluation.protocol"] = named, "finetuning"
        start = cell.backbone.start
        if not isinstance(start, str):
            wanted[start.config, "data.folder"] = f"the pretraining {start.name!r}", "pretraining"
    for (config, key), (named, program) in wanted.items():
        try:
            values = configs(config)
        except UserError as error:
            raise UserError(f"{spec}: {named}: {error}") from error
        if key not in flat(values):
            raise UserError(
                f"{spec}: {named} names {config}, which has no {key}: it is no configuration of"
                f" {program}"
            )
    for cell in study.cells:
        protocol = _protocol(cell, configs)
        if protocol and protocol not in PROTOCOLS:
            raise UserError(
                f"{spec}: the data {cell.data.name!r}: evaluation.protocol={protocol!r}: should be"
                f" one of {', '.join(PROTOCOLS)}"
            )


def _protocol(cell: Cell, configs: Configs) -> str:
    config, changes = cell.config
    named = changes.get("evaluation.protocol", configs(config)["evaluation"]["protocol"])
    return named or ""


def described(study: Study, jobs: Sequence[Job], configs: Configs) -> dict[str, Any]:
    """Cells, datasets and pretrainings as `study.json` lists them; jobs are those of its plan."""
    runs = {run.cell.name: run for job in jobs for run in job.runs if run.cell is not None}
    pretrainings: dict[str, Pretraining] = {}
    datasets: dict[str, Data] = {}
    rows = []
    for cell in study.cells:
        backbone, data = cell.backbone, cell.data
        start = backbone.start
        datasets[data.name] = data
        made = None if isinstance(start, str) else start
        if made is not None:
            pretrainings[made.name] = made
        rows.append(
            {
                "name": cell.name,
                "setting": backbone.setting or backbone.name,
                "weights": backbone.name,
                "teacher": None if made is None else made.teacher,
                "pretraining": None if made is None else made.name,
                "init": start if isinstance(start, str) else None,
                "dataset": data.name,
                "task": data.task,
                "group": data.group,
                "mode": cell.mode,
                "seed": cell.seed,
                "protocol": _protocol(cell, configs),
                "folder": f"{CELLS}/{cell.name}",
                "definition": runs[cell.name].definition.digest,  # of what it is made from, too
            }
        )
    settings = {row["pretraining"]: row["setting"] for row in rows}
    definitions = json.dumps(rows, sort_keys=True)
    return {
        "format": FORMAT,
        "study": study.name,
        "title": study.title,
        "digest": hashlib.sha256(definitions.encode()).hexdigest(),
        "ours": study.ours,
        "ordered": study.ordered,
        "pretrainings": [
            {
                "name": made.name,
                "setting": settings[made.name],
                "teacher": made.teacher,
                "folder": f"{PRETRAIN}/{made.name}",
                "data": seen_by(made, configs),
                "seed": made.seed,
            }
            for made in pretrainings.values()
        ],
        "datasets": [
            {
                "name": data.name,
                "task": data.task,
                "group": data.group,
                "folder": f"{DATA}/{data.name}" if data.made_by else data.folder,
            }
            for data in datasets.values()
        ],
        "cells": rows,
    }
