"""From cells to jobs: what is done once for many cells, in which order, by which commands.

A job is what one process does: commands, one after the other, each of which fills a folder. What
decides a folder is its definition; where a definition changes, so do those that follow from it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgvista_jax.studies.cells import RANDOM, Backbone, Cell, Data, Pretraining
from surgvista_jax.studies.definitions import Definition, changed, definition
from surgvista_jax.studies.layout import (
    CELLS,
    DATA,
    FEATURES,
    PRETRAIN,
    PROBE_FEATURES,
    STAGES,
)
from surgvista_jax.tasks import free_keys
from surgvista_jax.training.agreement import flat

# FILE[:ARGUMENT] -> the configuration's keys and values, nested.
Configs = Callable[[str], Mapping[str, Any]]
# `[NAME:]PATH[#KEY]` of weights -> what stands for them in a definition, as `Contents` gives it.
OfWeights = Callable[[str], Any]
_FREE = {"pretrain": free_keys.PRETRAINING, "finetune": free_keys.FINETUNING}
# A run may go on with others of these, whose digests it compares; another student they do make.
_STARTS = ("teacher.weights", "init", "data.allow_overlap")


@dataclass(frozen=True)
class Run:
    """One command, and the folder that it fills.

    Attributes:
        folder: below the study's.
        words: of the command.
        definition: what decides what comes into the folder.
        cell: of a cell's run.
    """

    folder: str
    words: tuple[str, ...]
    definition: Definition
    cell: Cell | None = None


@dataclass(frozen=True)
class Job:
    """What one process does.

    Attributes:
        name: of its log; that of its folder, or what its folders have in common.
        stage: of `STAGES`.
        runs: one after the other; one that fails does not stop the next.
        needs: names of the jobs that come before it.
        cells: how many need what it makes, its own included.
        cell: one of them.
    """

    name: str
    stage: str
    runs: tuple[Run, ...]
    needs: tuple[str, ...]
    cells: int
    cell: Cell


def _new(run: Run) -> Run:
    return run


def plan(
    cells: Sequence[Cell],
    out: Path,
    configs: Configs,
    of_weights: OfWeights = str,
    as_begun: Callable[[Run], Run] = _new,
) -> list[Job]:
    """The jobs of a study, those first that others need.

    Args:
        cells: each of another name.
        out: the study's folder.
        configs: reads a configuration.
        of_weights: what a definition holds of weights that are given.
        as_begun: gives a run the definition that it was begun with, where that is the same.
    """
    planner = _Planner(out.absolute(), configs, of_weights, as_begun)
    for cell in cells:
        planner.add(cell)
    return planner.jobs()


class _Planner:
    """Adds cells, and with each what it needs, once."""

    def __init__(
        self, out: Path, configs: Configs, of_weights: OfWeights, as_begun: Callable[[Run], Run]
    ):
        self._out, self._configs, self._of_weights = out, configs, of_weights
        self._as_begun = as_begun
        self._runs: dict[str, list[Run]] = {}
        self._stages: dict[str, str] = {}
        self._needs: dict[str, tuple[str, ...]] = {}
        self._users: dict[str, list[Cell]] = {}

    def jobs(self) -> list[Job]:
        return [
            Job(
                name,
                stage,
                tuple(self._runs[name]),
                self._needs[name],
                len(self._users[name]),
                self._users[name][0],
            )
            for stage in STAGES
            for name in self._runs
            if self._stages[name] == stage
        ]

    def add(self, cell: Cell) -> None:
        needs = [*self._data(cell.data), *self._start(cell.backbone)]
        backbone, data = cell.backbone, cell.data
        name = f"{CELLS}/{cell.name}"
        spec, replaced = cell.config
        changes = {**replaced, "mode": cell.mode, "seed": cell.seed}
        words = {"data.folder": self._folder(data)}
        free = _FREE["finetune"]
        if cell.mode == "temporal":
            needs = self._features(backbone, data, needs)
            words["data.features"] = str(self._out / needs[0])
            free = free_keys.TEMPORAL
        else:
            words["init"] = self._init(backbone)
        more = []
        job = name
        if cell.mode == "linear" and backbone.start != RANDOM:  # a random one is each seed's own
            job = name.rpartition("/")[0]
            kept = self._out / PROBE_FEATURES / backbone.name / data.name
            more.append(f"--probe-features={kept}")
        needed = {**self._digests(needs), "data": data.name}
        if isinstance(backbone.start, str):
            needed["init"] = self._origin(backbone)
        defined = definition("finetune", self._configs(spec), changes, needed, free)
        run = Run(
            name,
            (
                "finetune",
                f"--config={spec}",
                f"--workdir={self._out / name}",
                *more,
                *_words({**changes, **words}),
            ),
            defined,
            cell,
        )
        self._add(job, CELLS, run, needs)
        self._count(job, cell)

    def _start(self, backbone: Backbone) -> list[str]:
        """The job that a backbone comes from, if the study makes it."""
        start = backbone.start
        if isinstance(start, str):
            return []
        name = f"{PRETRAIN}/{start.name}"
        if name not in self._runs:
            needs = [job for data in start.data for job in self._data(data)]
            changes = {**start.changes, "seed": start.seed}
            words = {}
            if start.data:
                words["data.folder"] = ",".join(map(self._folder, start.data))
            seen = seen_by(start, self._configs)
            config = self._configs(start.config)
            values = flat(changed(config, changes))
            from_where = {
                key: self._of_weights(value) if isinstance(value, str) else str(value)
                for key in _STARTS
                if (value := values.get(key))
            }
            needed = {**self._digests(needs), "data": ",".join(seen), **from_where}
            defined = definition("pretrain", config, changes, needed, _FREE["pretrain"])
            run = Run(
                name,
                (
                    "pretrain",
                    f"--config={start.config}",
                    f"--workdir={self._out / name}",
                    *_words({**changes, **words}),
                ),
                defined,
            )
            self._add(name, PRETRAIN, run, needs)
        return [name]

    def _data(self, data: Data) -> list[str]:
        """The job that makes a dataset, if the study does."""
        if not data.made_by:
            return []
        name = f"{DATA}/{data.name}"
        if name not in self._runs:
            words = ("data", "synthetic", *data.made_by)
            defined = definition(" ".join(words), {}, {}, {}, ())
            run = Run(name, (*words, f"--out={self._out / name}"), defined)
            self._add(name, DATA, run, [])
        return [name]

    def _features(self, backbone: Backbone, data: Data, needs: list[str]) -> list[str]:
        """The job that computes the features of a backbone on a dataset, once for all heads."""
        name = f"{FEATURES}/{backbone.name}/{data.name}"
        if name not in self._runs:
            needed = {**self._digests(needs), "init": self._origin(backbone), "data": data.name}
            words = (
                "features",
                f"--init={self._init(backbone)}",
                f"--dataset={self._folder(data)}",
                f"--out={self._out / name}",
            )
            run = Run(name, words, definition("features", {}, {}, needed, ()))
            self._add(name, FEATURES, run, needs)
        return [name]

    def _add(self, name: str, stage: str, run: Run, needs: Sequence[str]) -> None:
        self._runs.setdefault(name, []).append(self._as_begun(run))
        self._stages[name] = stage
        self._needs[name] = tuple(needs)
        self._users.setdefault(name, [])

    def _count(self, name: str, cell: Cell) -> None:
        """One cell more needs a job, and so what the job needs."""
        if self._users[name][-1:] != [cell]:  # reached in two ways
            self._users[name].append(cell)
        for needed in self._needs[name]:
            self._count(needed, cell)

    def _digests(self, needs: Sequence[str]) -> dict[str, Any]:
        return {name: run.definition.digest for name in needs for run in self._runs[name]}

    def _folder(self, data: Data) -> str:
        return str(self._out / DATA / data.name if data.made_by else Path(data.folder).absolute())

    def _init(self, backbone: Backbone) -> str:
        start = backbone.start
        return start if isinstance(start, str) else str(self._out / PRETRAIN / start.name)

    def _origin(self, backbone: Backbone) -> Any:
        """What stands for it in a definition, beside the digest of a pretraining."""
        start = backbone.start
        return self._of_weights(start) if isinstance(start, str) else start.name


def _words(values: Mapping[str, Any]) -> list[str]:
    """Keys and values as the command line says them."""
    return [f"--config.{key}={_text(value)}" for key, value in values.items()]


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)


def seen_by(made: Pretraining, configs: Configs) -> list[str]:
    """The names of the datasets that a pretraining sees."""
    if made.data:
        return [data.name for data in made.data]
    folders = made.changes.get("data.folder", configs(made.config)["data"]["folder"])
    return [Path(name.strip()).name for name in folders.split(",") if name.strip()]
