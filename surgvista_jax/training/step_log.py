"""What a run tells of its steps: lines of metrics, skipped steps, and what could not be read."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from surgvista_jax.training.faults import SkippedSteps
from surgvista_jax.training.feed import Feed
from surgvista_jax.training.goodput import SECONDS, STARTS, Clock
from surgvista_jax.training.meters import TIME, UNWRITTEN, Speed, Window
from surgvista_jax.training.progress import Progress
from surgvista_jax.training.unreadable import UnreadableFrames
from surgvista_jax.training.writers import MetricWriter


class Dispatched(NamedTuple):
    """A step whose metrics have not been read yet.

    Attributes:
        step: its number, from 1.
        metrics: what it computes.
        clips: int64 [b], which ones; None where they have no names.
        replaced: frames that could not be read, from the start up to this step.
    """

    step: int
    metrics: dict[str, jax.Array]
    clips: np.ndarray | None
    replaced: int


@dataclasses.dataclass
class StepLog:
    """Reads the metrics of finished steps and turns them into lines.

    Attributes:
        log_every: steps between lines.
        num_steps: where the run ends.
        window: the steps since the last line.
        unwritten: lines that are complete but not on disk, as (step, values).
        clock: of the run.
    """

    log_every: int
    num_steps: int
    window: Window
    speed: Speed
    skipped: SkippedSteps
    unreadable: UnreadableFrames
    feed: Feed
    writer: MetricWriter
    progress: Progress
    unwritten: list[tuple[int, dict[str, Any]]]
    clock: Clock

    def read(self, dispatched: Dispatched | None) -> None:
        """Waits for a step to be computed and counts it; does nothing without one.

        After an error the step is counted, and its line, if it had one, is in `unwritten`.
        """
        if dispatched is None:
            return
        step = dispatched.step
        values = {name: float(value) for name, value in jax.device_get(dispatched.metrics).items()}
        self.window.add(values)
        self.speed.step()
        self.progress.step()
        if step % self.log_every == 0 or step == self.num_steps:
            line = self.window.take() | self.speed.take(self.feed.waited)
            line["unreadable_frames"] = dispatched.replaced
            line |= self.clock.line()
            self.unwritten.append((step, line))
        self.write()
        self.skipped.see(step, bool(values["finite"]), dispatched.clips)

    def write(self) -> None:
        """Writes the lines that are complete."""
        while self.unwritten:
            step, line = self.unwritten[0]
            self.writer.scalars(step, line)
            del self.unwritten[0]
            hidden = (STARTS, *(name for name in line if name.startswith(SECONDS)))
            shown = {name: line[name] for name in line if name not in hidden}
            self.progress.line(step, shown)

    def state(self) -> dict[str, Any]:
        """What a run that continues from here has to know, as JSON values."""
        state = self.window.state() | {TIME: self.clock.state()}
        if self.unwritten:
            state[UNWRITTEN] = [[step, line] for step, line in self.unwritten]
        return state


def unwritten_of(state: Any) -> list[tuple[int, dict[str, Any]]]:
    """The lines that a run could not write before it ended, from its `StepLog.state()`."""
    return [(step, line) for step, line in (state or {}).get(UNWRITTEN, [])]
