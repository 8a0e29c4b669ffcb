"""A run that has come to its end is made longer: by more steps or epochs, in the same folder."""

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
        steps: values of a configuration -> updates.
    """

    keys: tuple[str, ...]
    steps: Callable[[Mapping[str, Any]], int]


@dataclasses.dataclass(frozen=True)
class Longer:
    """A run that is made longer.

    Attributes:
        before, after: its updates.
    """

    before: int
    after: int

    def in_words(self, optimizer: Optimizer, steps_per_epoch: int) -> str:
        """What is told of it, and of the learning rate, which leaps where the schedule falls."""
        rates = [
            float(optimizer.schedule(steps_per_epoch, total)(jnp.int32(step)))
            for total, step in ((self.before, self.before - 1), (self.after, self.before))
        ]
        return (
            f"made longer: from {self.before:,} steps to {self.after:,}; the learning rate goes on"
            f" as in a run of {self.after:,}: from {rates[0]:.3g} to {rates[1]:.3g}, then on along"
            " its schedule"
        )


def length_of_budget(clips: int) -> Length:
    """The length of a run that has a `budget`, of so many clips an epoch."""

    def steps(values: Mapping[str, Any]) -> int:
        return build(BudgetConfig, values["budget"]).num_steps(clips)

    return Length(("budget.steps", "budget.epochs"), steps)


def longer(
    workdir: Path, begun: Mapping[str, Any], asked: Mapping[str, Any], length: Length
) -> Longer | None:
    """How much longer a run gets, of whose configuration nothing but the length differs.

    Returns:
        None where it is as long as before, in other words: as epochs, say, instead of steps.

    Raises:
        UserError: it has not come to its end, or would become shorter.
    """
    before, after = length.steps(begun), length.steps(asked)
    if after == before:
        return None
    done = max(saved_steps(workdir / FOLDER), default=0)
    keys = " or ".join(f"config.{key}" for key in length.keys)
    if after < before:
        raise UserError(
            f"{workdir}: is a run of {before:,} steps, of which {done:,} are done: {keys} can make"
            f" it longer, not shorter ({after:,}); take another --workdir"
        )
    if done < before:
        raise UserError(
            f"{workdir}: {done:,} of its {before:,} steps are done: a run can be made longer"
            f" ({after:,}) once it has come to its end; let it end first, or take another --workdir"
        )
    return Longer(before, after)
