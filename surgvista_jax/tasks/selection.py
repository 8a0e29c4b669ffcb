"""The parameters of a finetuning run that are kept: the best on the chosen videos."""

import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.json_lines import lacks_step, read_lines
from surgvista_jax.metrics.selecting import SCORES
from surgvista_jax.training.checkpoint import restore_params, save_params
from surgvista_jax.training.checkpoint_files import FOLDER as CHECKPOINTS
from surgvista_jax.training.checkpoint_files import saved_steps
from surgvista_jax.training.writers import EVALUATIONS_FILE, drop_lines_after
from surgvista_jax.writing import append_line, writing_to

FOLDER = "best"


def check_score(name: str, label_kind: str, num_classes: int) -> None:
    """Raises UserError for a score that labels of this kind ("single" or "multi") do not have."""
    if name not in SCORES:
        raise UserError(f"config.evaluation.score={name!r}: should be one of {', '.join(SCORES)}")
    if label_kind not in SCORES[name].label_kinds:
        raise UserError(
            f"config.evaluation.score={name!r} does not fit labels of kind {label_kind}"
        )
    wanted = SCORES[name].num_classes
    if wanted not in (None, num_classes):
        raise UserError(
            f"config.evaluation.score={name!r}: is of {wanted} triplets, the dataset has"
            f" {num_classes} classes"
        )


def score(name: str, outputs: Outputs) -> float:
    """One of SCORES, higher is better, as a fraction; NaN where a value is not finite."""
    if not np.isfinite(outputs.values).all():
        return float("nan")
    return SCORES[name].of(outputs.label, outputs.values, outputs.video_index)


class Selection:
    """The evaluations of a run and its best parameters, at `<workdir>/best`.

    Each evaluation is a line of `evaluations.jsonl`, written after the parameters that it may have
    made the best: a run that was cut off in between does that evaluation again.

    Attributes:
        best: the line of the best evaluation, the first or newest of equals; None before any.

    Args:
        workdir: the run's folder.
        step: where the run starts; what an earlier start wrote beyond it is dropped.
        newest: of equals the newest is the best, as where nothing scores them.
    """

    def __init__(self, workdir: Path, step: int, newest: bool = False):
        self._newest = newest
        self.folder = workdir / FOLDER
        self._path = workdir / EVALUATIONS_FILE
        self._lines = [line for line in read_evaluations(workdir) if line["step"] <= step]
        saved = saved_steps(self.folder / CHECKPOINTS)
        # Parameters of a line may be gone: better ones took their place, in steps now done again.
        kept = [line for line in self._lines if line["step"] in saved]
        self.best: dict | None = max(kept[::-1] if newest else kept, key=_rank, default=None)
        if jax.process_index() == 0:
            drop_lines_after(self._path, step, _lacks)
            with writing_to(self.folder):
                for beyond in (number for number in saved if number > step):
                    shutil.rmtree(self.folder / CHECKPOINTS / str(beyond))

    @property
    def chosen(self) -> dict:
        """`best`, once something was evaluated."""
        assert self.best is not None
        return self.best

    def has(self, step: int) -> bool:
        """Whether the parameters of this step were evaluated."""
        return any(line["step"] == step for line in self._lines)

    def add(self, step: int, value: float, params: Any, meta: dict) -> bool:
        """Counts an evaluation, keeps parameters that are the best so far; returns whether.

        All processes call it. A score that is not finite is written as null, below all others.
        """
        line = {"step": step, "score": value if np.isfinite(value) else None}
        before = -np.inf if self.best is None else _rank(self.best)
        equal = self.best is None or (self._newest and _rank(line) == before)
        better = equal or _rank(line) > before
        if better:
            # The one before stays until a run that is cut off here has counted this one.
            save_params(self.folder, step, params, meta | {"score": line["score"]}, keep=2)
        self._lines.append(line)
        self.best = line if better else self.best
        if jax.process_index() == 0:
            append_line(self._path, line)
        return better

    def restore(self, abstract: Any) -> Any:
        """The best parameters, where and as `abstract` says."""
        return restore_params(self.folder, self.chosen["step"], abstract)


def _rank(line: dict) -> float:
    return -np.inf if line["score"] is None else line["score"]


def read_evaluations(workdir: Path) -> list[dict]:
    """The lines of `evaluations.jsonl`; a last one that a crash cut off is left out.

    Raises:
        UserError: another line is broken: its number, and what is to be done.
    """
    path = workdir / EVALUATIONS_FILE
    if not path.exists():
        return []
    # Whoever drops the line from the file says so.
    lines = read_lines(path, required=_lacks, torn=lambda note: None)
    return [line.values for line in lines]


def _lacks(values: dict[str, Any]) -> str | None:
    """What a line of an evaluation lacks; None where it is whole."""
    score = values.get("score", "")
    number = isinstance(score, int | float) and not isinstance(score, bool)
    if score is not None and not (number and abs(score) < np.inf):
        return "'score' should be a number or null"
    return lacks_step(values)
