"""Pretrainings that differ in how clips share what is decoded, and a linear probe of each student.

They are the runs of a study, planned and run as those, and lie where those do.
"""

import dataclasses
import functools
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from surgvista_jax.config.printing import KIND
from surgvista_jax.data.dataset import Dataset, label_fingerprint
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.json_lines import read_lines
from surgvista_jax.json_object import read_object
from surgvista_jax.ownership import in_folder
from surgvista_jax.studies.cells import Backbone, Cell, Data, Pretraining
from surgvista_jax.studies.layout import CELLS, PRETRAIN
from surgvista_jax.studies.places import Place
from surgvista_jax.studies.plan import plan
from surgvista_jax.studies.running import run_jobs
from surgvista_jax.studies.states import STALE, state_of
from surgvista_jax.writing import write_json

_CONFIG = "pretraining.json"  # what all runs have in common
_DATA = "data.json"  # and of which dataset they are: a run itself knows its folder alone


class Stopped(Exception):
    """It was told to stop; the same command goes on from there."""


class Way(NamedTuple):
    """How clips share what is decoded: `slide` of a stretch, each under so many masks."""

    slide: int
    masks: int

    def __str__(self) -> str:
        return f"{self.slide}x{self.masks}" if self.masks > 1 else str(self.slide)


@dataclasses.dataclass(frozen=True)
class Part:
    """The runs of one way from all seeds, which differ in their seed alone."""

    way: Way
    equal: str
    steps: int

    def name(self, seed: int) -> str:
        return f"slide{self.way}-equal-{self.equal}-seed{seed}"


@dataclasses.dataclass(frozen=True)
class SlideRuns:
    """Where the runs lie, and what they have in common.

    Attributes:
        values: keys and values of the configuration of pretraining.
        probe: the file of the probe's.
        probe_values: its keys and values.
        data: the dataset folder of both.
        out: those that are there already are not repeated.
        places: where they run.
    """

    values: Mapping[str, Any]
    probe: str
    probe_values: Mapping[str, Any]
    data: Path
    out: Path
    places: Sequence[Place]

    def run(self, parts: Sequence[Part], seeds: int) -> None:
        """Pretrains and probes what is not there yet.

        Raises:
            Stopped: it was told to stop.
            UserError: a run failed, or is there with another configuration.
        """
        self._note_data()
        write_json(self.out / _CONFIG, {KIND: "pretraining", **self.values}, in_folder(self.out))
        cells = [self.cell(part, seed) for part in parts for seed in range(seeds)]
        jobs = plan(cells, self.out, self._configs)
        for run in (run for job in jobs for run in job.runs):
            state = state_of(self.out, run)
            if state.name == STALE:
                said = f"was begun otherwise: {state.why}; take another --out"
                raise UserError(f"{self.out / run.folder}: {said}")
        outcome = run_jobs(jobs, jobs, self.out, self.places, _tell)
        if outcome.stopped:
            raise Stopped
        for folder, why in outcome.failed.items():
            raise UserError(f"{self.out / folder}: {why}; the same command goes on with it")

    @functools.cached_property
    def _dataset(self) -> Dataset:
        return read_dataset(self.data)

    def _note_data(self) -> None:
        note = self.out / _DATA
        said = {"name": self._dataset.name, "fingerprint": label_fingerprint(self._dataset)}
        if note.is_file() and (there := read_object(note)) != said:
            raise UserError(
                f"{self.out}: holds runs of another dataset, {there.get('name')!r}, or of other"
                f" labels of it, than --data={self.data}; take another --out"
            )
        write_json(note, said, in_folder(self.out))

    def cell(self, part: Part, seed: int) -> Cell:
        """A linear probe of a student of its own."""
        name = part.name(seed)
        way = {"clip.slide": part.way.slide, "mask.masks_per_clip": part.way.masks}
        data = Data(
            name="data",
            task=self._dataset.task,
            config=self.probe,
            folder=str(self.data),
            changes={"evaluation.protocol": ""},
        )
        student = Pretraining(
            name=name,
            config=str(self.out / _CONFIG),
            changes={**way, "budget.steps": part.steps},
            data=(data,),
            seed=seed,
        )
        return Cell(
            backbone=Backbone(name=name, start=student), data=data, mode="linear", seed=seed
        )

    def _configs(self, spec: str) -> Mapping[str, Any]:
        return self.probe_values if spec == self.probe else self.values

    def pretraining(self, name: str) -> Path:
        """The folder of a run's student."""
        return self.out / PRETRAIN / name

    def rate(self, part: Part, seeds: int) -> float:
        """Clips a second: the median of what was logged, of all seeds."""
        runs = [self.pretraining(part.name(seed)) for seed in range(seeds)]
        return statistics.median([rate for run in runs for rate in logged_rates(run)])

    def probed(self, name: str, seed: int) -> Path:
        """The folder of a run's probe."""
        return self.out / CELLS / name / "data" / "linear" / f"seed{seed}"


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def logged_rates(run: Path) -> list[float]:
    """Clips a second of each line of a run's metrics that has them."""
    lines = [line.values for line in read_lines(run / "metrics.jsonl")]
    rates = [line["clips_per_second"] for line in lines if "clips_per_second" in line]
    if not rates:
        raise UserError(
            f"{run}: too short to be timed: say more --config.budget.steps, or a lower"
            " --config.loop.log_every"
        )
    return rates
