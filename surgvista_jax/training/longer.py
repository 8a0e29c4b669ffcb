"""A run that came to its end is made longer, in the same folder; by how much may be mended."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from surgvista_jax.config import build
from surgvista_jax.errors import UserError
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.checkpoint_files import FOLDER, saved_steps
from surgvista_jax.training.optim import Optimizer


@dataclasses.dataclass(frozen=True)
class Length:
    """How long a configuration makes a run.

    Attributes:
        keys: of the configuration, that say it.
        steps: values of a configuration -> updates, or epochs of a run that is trained anew.
        anew: whether each start trains from the beginning, so that any other length will do.
    """

    keys: tuple[str, ...]
    steps: Callable[[Mapping[str, Any]], int]
    anew: bool = False


@dataclasses.dataclass(frozen=True)
class NewLength:
    """A run of another length than before.

    Attributes:
        before, after: its updates.
        done: those that are done.
        ended: after how many it had come to its end before it was made longer; None: it is not
            longer, or is trained anew.
    """

    before: int
    after: int
    done: int
    ended: int | None = None

    def in_words(self, optimizer: Optimizer, steps_per_epoch: int) -> str:
        """What is told of it, and of the learning rate, which leaps where the schedule falls."""
        if self.ended is None:
            return f"is a run of {self.after:,} steps again, no more of {self.before:,}"
        if self.ended == self.before:
            said = f"made longer: from {self.before:,} steps to {self.after:,}"
        else:
            said = (
                f"made longer otherwise: to {self.after:,} steps instead of {self.before:,}, of"
                f" which {self.done:,} are done"
            )
        rates = [
            float(optimizer.schedule(steps_per_epoch, total)(jnp.int32(step)))
            for total, step in ((self.before, self.done - 1), (self.after, self.done))
        ]
        return (
            f"{said}; the learning rate goes on as in a run of {self.after:,}: from"
            f" {rates[0]:.3g} to {rates[1]:.3g}, then on along its schedule"
        )


def length_of_budget(clips: int) -> Length:
    """The length of a run that has a `budget`, of so many clips an epoch."""

    def steps(values: Mapping[str, Any]) -> int:
        return build(BudgetConfig, values["budget"]).num_steps(clips)

    return Length(("budget.steps", "budget.epochs"), steps)


def new_length(
    workdir: Path,
    begun: Mapping[str, Any],
    asked: Mapping[str, Any],
    length: Length,
    ended: int | None = None,
) -> NewLength | None:
    """The new length of a run, of whose configuration nothing but the length differs.

    Args:
        ended: after how many updates it had come to its end before it was made longer; None where
            it was not.

    Returns:
        None where it is as long as before, in other words: as epochs, say, instead of steps.

    Raises:
        UserError: it has not come to its end, or would become shorter than it was there.
    """
    before, after = length.steps(begun), length.steps(asked)
    if after == before:
        return None
    if length.anew:
        return NewLength(before, after, done=0)
    done = max(saved_steps(workdir / FOLDER), default=0)
    keys = " or ".join(f"config.{key}" for key in length.keys)
    if done >= before:
        if after > before:
            return NewLength(before, after, done, ended=before)
        raise UserError(
            f"{workdir}: is a run of {before:,} steps, of which {done:,} are done: {keys} can make"
            f" it longer, not shorter ({after:,}); take another --workdir"
        )
    if ended is None and after < before:
        raise UserError(
            f"{workdir}: {done:,} of its {before:,} steps are done: a run cannot be made shorter"
            f" ({after:,}), for its learning rate follows its length; its newest checkpoint can be"
            " used as it is; else take another --workdir"
        )
    if ended is None:
        raise UserError(
            f"{workdir}: {done:,} of its {before:,} steps are done: a run can be made longer"
            f" ({after:,}) once it has come to its end; let it end first, or take another --workdir"
        )
    if after < max(done, ended):
        raise UserError(
            f"{workdir}: was made longer after {ended:,} steps, and {done:,} are done: {keys} can"
            f" be changed to {max(done, ended):,} steps or more, not to {after:,}"
            f"{_end_in(workdir, ended)}"
        )
    return NewLength(before, after, done, ended=ended if after > ended else None)


def _end_in(workdir: Path, ended: int) -> str:
    """Where the parameters of a run's earlier end are, if they still are."""
    if ended not in saved_steps(workdir / FOLDER):
        return "; take another --workdir"
    return f"; its parameters after {ended:,} are in {workdir / FOLDER / str(ended)}"
