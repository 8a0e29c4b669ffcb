"""Evaluation while a run trains, by which it keeps its best parameters."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import jax
from tqdm import tqdm

from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.tasks.selection import Selection, score
from surgvista_jax.training.loop import Hook, Run
from surgvista_jax.training.state import TrainState


@dataclasses.dataclass
class Chooser:
    """Evaluates now and then and keeps the best parameters; the last ones without such videos.

    Attributes:
        score: one of `selection.SCORES`.
        curve: what the score is called where curves are drawn.
        selected_on: what the videos of selection are, in words.
        predict: parameters -> what they say of the videos of selection; None where there are none.
        parameters: (state, frozen arrays) -> the parameters that are evaluated and kept.
        about: saved with the best parameters.
        rows: what the outputs are of, in words.
    """

    score: str
    curve: str
    selected_on: str
    predict: Callable[[Any], Outputs] | None
    parameters: Callable[[TrainState, Any], Any]
    about: dict
    rows: str = "clips"
    _selection: Selection = dataclasses.field(init=False, repr=False)  # since `hook`

    def hook(self, run: Run, every: int) -> Hook:
        """What the run is to do every so many steps, and at its end."""
        self._selection = Selection(run.workdir, int(run.state.step), newest=self.predict is None)
        if self.predict is None:
            every = run.num_steps

        def evaluate(step: int, state: TrainState) -> None:
            if not self._selection.has(step):
                self._evaluate(run, step, self.parameters(state, run.frozen))

        return Hook(every, evaluate, save_before=self.predict is not None, when_restored=True)

    @property
    def best(self) -> dict:
        """The line of the best evaluation."""
        return self._selection.chosen

    def restore(self, abstract: Any) -> Any:
        """The best parameters, where and as `abstract` says."""
        return self._selection.restore(abstract)

    def _evaluate(self, run: Run, step: int, params: Any) -> None:
        # Several processes cannot write two checkpoints at a time: Orbax mixes them up.
        with run.clock.on("save"):
            run.checkpoints.wait()
        if self.predict is None:
            self._selection.add(step, float("nan"), params, self.about)
            return
        outputs = self.predict(params)
        value = score(self.score, outputs)
        better = self._selection.add(step, value, params, self.about)
        run.writer.curve(step, {self.curve: value})
        if jax.process_index() == 0:
            best = ", the best so far" if better else ""
            said = f"{self.score} {value:.4f} on {len(outputs.frame)} {self.rows}"
            tqdm.write(f"step {step}: {said}, {self.selected_on}{best}", file=sys.stderr)
