"""What a run asks of a task, whatever it learns."""

from collections.abc import Mapping
from typing import Any, Protocol

import jax


class Task(Protocol):
    """What is learnt: the models of a configuration and their loss, as pure functions."""

    def init_trained(self) -> Any:
        """Random parameters that are trained, boxed with their logical axes."""

    def init_frozen(self) -> dict[str, Any]:
        """Arrays that are handed to the loss and get no gradient, boxed; parts by name."""

    def loss(
        self, params: Any, frozen: Any, batch: dict, key: jax.Array, average: Any = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean loss of a batch and its parts, float32 []; gradients are taken by `params` alone.

        Args:
            params: like `init_trained`.
            frozen: like `init_frozen`.
            batch: global arrays of the data.
            key: all of the batch's randomness.
            average: the running mean of the parameters; None in a run that keeps none.
        """

    @property
    def flops_per_clip(self) -> Mapping[str, float]:
        """Name of a metric -> operations that it counts for one clip."""

    @property
    def sharded_dims(self) -> Mapping[str, Mapping[str, int]]:
        """The sizes that a mesh must divide: logical axis -> what to call it -> size."""
