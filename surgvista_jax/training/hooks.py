"""What is done with the state of a run now and then, and when."""

import dataclasses
from collections.abc import Callable, Sequence

from surgvista_jax.training.state import TrainState
from surgvista_jax.training.time_left import Aside


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


def asides(
    hooks: Sequence[Hook], save_every: int, first: int, last: int, num_steps: int
) -> dict[str, Aside]:
    """What will be done between the steps of one start of a run, for which it has to plan time.

    Args:
        save_every: steps between checkpoints.
        first, last: the steps between which it trains.
        num_steps: where the run ends, now or in a later start.

    Returns:
        "save" and `name_of` each hook -> it.
    """
    due = {
        name_of(hooks, hook): _due(hook.every, first, last, num_steps)
        for hook in hooks
        if hook.every
    }
    before = [due[name_of(hooks, hook)] for hook in hooks if hook.every and hook.save_before]
    saved = set(_due(save_every, first, last, last)).union(*before)
    parts = {name_of(hooks, hook): hook.part for hook in hooks}
    return {
        "save": Aside("save", sorted(saved)),
        **{name: Aside(parts[name], steps) for name, steps in due.items()},
    }


def name_of(hooks: Sequence[Hook], hook: Hook) -> str:
    """What a hook is called among those of its run."""
    return f"{hook.part} {hooks.index(hook)}"


def _due(every: int, first: int, last: int, num_steps: int) -> list[int]:
    """The steps behind the first one at which `due_hooks` has a hook of every so many steps."""
    steps = list(range((first // every + 1) * every, last + 1, every))
    if first < num_steps <= last and num_steps % every:
        steps.append(num_steps)
    return steps
