"""What is done with the state of a run now and then, and when."""

import dataclasses
from collections.abc import Callable, Sequence

from surgvista_jax.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Hook:
    """Something to do with the state every so many steps and at the end, such as a figure.

    every: steps between two calls; 0 for none at all.
    run: called with the number of steps done and the state, on every process.
    save_before: saves a checkpoint first, for what takes long: a run that is killed meanwhile, or
        told to stop and not given the time, loses no step by it.
    when_restored: calls it for a restored state too, if it is due there: a run that was killed
        may have saved that state and not come to the call.
    part: of the run's time that it counts as, "evaluate" or "figure" (`goodput.PARTS`).
    """

    every: int
    run: Callable[[int, TrainState], None]
    save_before: bool = False
    when_restored: bool = False
    part: str = "evaluate"


def due_hooks(hooks: Sequence[Hook], done: int, num_steps: int, restored: bool) -> list[Hook]:
    """The hooks to be called after `done` steps; `restored`: of this start none was done yet."""
    if restored:
        hooks = [hook for hook in hooks if hook.when_restored and done]
    return [hook for hook in hooks if hook.every and (done % hook.every == 0 or done == num_steps)]
