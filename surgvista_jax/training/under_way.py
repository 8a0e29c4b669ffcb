"""With what does a run go on, and how does it end?"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jax.sharding import Mesh

from surgvista_jax.training.checkpoint import Checkpoints
from surgvista_jax.training.feed import Batches
from surgvista_jax.training.goodput import Clock
from surgvista_jax.training.loop_config import LoopConfig
from surgvista_jax.training.names import Names
from surgvista_jax.training.state import TrainState
from surgvista_jax.training.writers import MetricWriter

_DEFAULT_NAMES = Names()


class Finished(NamedTuple):
    """How a run ended: the state, the steps done, and whether it was told to stop."""

    state: TrainState
    step: int
    preempted: bool


@dataclasses.dataclass(frozen=True)
class Run:
    """All that a run goes on with; it stands before its next step.

    Attributes:
        workdir: its folder.
        mesh: where batches go.
        config: see there.
        step: compiled; (state, frozen, batch) -> (state, metrics). Metrics are float32 scalars and
            have "finite", 0 when the step left the parameters as they were. May donate the state.
        state: with global arrays.
        frozen: arrays handed to each step.
        batches: this process's rows of batch `state.step` and the following; closed at the end. The
            keys "index" (int64 [b], which clip) and "unreadable" (bool [b, T]) stay on the host.
        num_steps: where the run ends.
        batch_size: clips of one step, all processes together; their mean, where steps differ.
        checkpoints, writer: made for this run, closed by the caller.
        meta: saved with each checkpoint, with "window" added to it.
        window: the restored checkpoint's meta["window"].
        names: what clips and frames are called in messages.
        flops_per_clip: name of a metric -> floating-point operations that it counts for one clip.
            Where the devices' peak is known it is logged as a share of it.
        clock: measures where the run's time goes.
    """

    workdir: Path
    mesh: Mesh
    config: LoopConfig
    step: Callable[[TrainState, Any, dict], tuple[TrainState, dict]]
    state: TrainState
    frozen: Any
    batches: Batches
    num_steps: int
    batch_size: float
    checkpoints: Checkpoints
    writer: MetricWriter
    meta: Mapping[str, Any]
    window: Mapping[str, Any] | None = None
    names: Names = _DEFAULT_NAMES
    flops_per_clip: Mapping[str, float] = dataclasses.field(default_factory=dict)
    clock: Clock = dataclasses.field(default_factory=Clock)

    @property
    def last(self) -> int:
        """The step to stop at, this time."""
        return min(self.num_steps, self.config.stop_after or self.num_steps)
