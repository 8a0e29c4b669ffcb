"""The cells of one dataset and mode, read and scored side by side."""

from dataclasses import dataclass

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.metrics.protocols import Protocol
from surgvista_jax.metrics.scores import Score
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.predictions.reading import ReadingOptions, read_one
from surgvista_jax.reports.build import mean_scores
from surgvista_jax.reports.comparison import check_same_frames
from surgvista_jax.reports.evaluation import Evaluation
from surgvista_jax.reports.scoring import evaluate_run
from surgvista_jax.studies.collect import Cell


@dataclass(frozen=True)
class System:
    """One backbone on one dataset in one mode: its finished seeds."""

    name: str
    cells: list[Cell]
    runs: list[Predictions]
    evaluations: list[Evaluation]
    scores: list[Score]  # means over seeds, the protocol's main ones


@dataclass(frozen=True)
class Panel:
    """What is compared with one another: a dataset in one mode, by one protocol."""

    cells: list[Cell]
    protocol: Protocol
    systems: dict[str, System]
    lacking: list[dict[str, str]]
    notes: list[str]

    @property
    def first(self) -> Cell:
        return self.cells[0]

    @property
    def main(self) -> str:
        """The score that stands for the panel: the protocol's first that could be computed."""
        keys = [score.key for system in self.systems.values() for score in system.scores]
        return next((key for key in self.protocol.primary if key in keys), "")


def protocol_of(cells: list[Cell]) -> Protocol | None:
    """The first protocol that cells name; None where a report cannot score any of them."""
    return next((PROTOCOLS[c.protocol] for c in cells if c.protocol in PROTOCOLS), None)


def lacks_protocol(cell: Cell) -> str:
    """Why a report has no result of a cell that names no protocol, in words."""
    said = repr(cell.protocol) if cell.protocol else "empty"
    return f"its evaluation.protocol is {said}: a report scores by one that surgvista has"


def read_panel(cells: list[Cell], protocol: Protocol) -> Panel:
    """Reads and scores what is finished; what cannot be read is told among what lacks."""
    lacking = [{"cell": cell.name, "why": cell.lacks} for cell in cells if cell.lacks]
    notes: list[str] = []
    of_weights: dict[str, list[tuple[Cell, Predictions, Evaluation]]] = {}
    for cell in cells:
        if cell.lacks:
            continue
        try:
            if cell.protocol not in PROTOCOLS:
                raise UserError(lacks_protocol(cell))
            if cell.protocol != protocol.name:
                raise UserError(f"its protocol is {cell.protocol}, others' {protocol.name}")
            run = read_one(str(cell.predictions), protocol, ReadingOptions())
            item = (cell, run, evaluate_run(run, protocol))
            before = of_weights.get(cell.weights)
            if before:  # whose mean it is part of
                check_same_frames(before[0][1], run)
        except UserError as error:
            lacking.append({"cell": cell.name, "why": str(error)})
            continue
        of_weights.setdefault(cell.weights, []).append(item)
        notes += run.notes
    systems = {}
    for name, items in of_weights.items():
        evaluations = [item[2] for item in items]
        scores = [s for s in mean_scores(evaluations) if s.key in protocol.primary]
        found = System(name, [i[0] for i in items], [i[1] for i in items], evaluations, scores)
        systems[name] = found
    return Panel(cells, protocol, systems, lacking, notes)
