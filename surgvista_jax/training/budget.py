"""How much is trained: clips an update, and updates or passes over the data."""

import dataclasses
import math

from surgvista_jax.checks import LARGEST_WHOLE, check, check_whole, shortened
from surgvista_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class BudgetConfig:
    """How much is trained.

    Attributes:
        batch_size: clips per update over all devices, the effective batch.
        epochs: passes over the data; an epoch is as many updates as whole batches fit in it.
        steps: updates, instead of epochs.
        accumulate: micro-batches that a batch is computed in, one after the other, to save memory.
    """

    batch_size: int
    epochs: float | None = None
    steps: int | None = None
    accumulate: int = 1

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                f"epochs={shortened(self.epochs)} and steps={shortened(self.steps)}: give either"
                " epochs or steps, and the other as none"
            )
        check_whole(self, 1, "batch_size", "accumulate")
        given = "epochs" if self.steps is None else "steps"
        check(self, "above 0", lambda length: length > 0, given)
        check(self, f"at most {LARGEST_WHOLE:,}", lambda length: length <= LARGEST_WHOLE, given)

    def steps_per_epoch(self, clips: int) -> int:
        """Updates that make an epoch of `clips` clips."""
        return max(clips // self.batch_size, 1)

    def num_steps(self, clips: int) -> int:
        """Updates of the whole run, rounded up to whole ones.

        Raises:
            UserError: they are more than can be counted.
        """
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None  # one of the two is given
        steps = math.ceil(round(self.epochs * self.steps_per_epoch(clips), 6))
        if steps > LARGEST_WHOLE:
            raise UserError(
                f"config.budget.epochs={self.epochs:g}: are {steps:,} updates of"
                f" batch_size={self.batch_size}; at most {LARGEST_WHOLE:,} can be counted"
            )
        return steps
