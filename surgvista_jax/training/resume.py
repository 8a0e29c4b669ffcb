"""Whether a run goes on from its newest checkpoint, which must be of the same data."""

from typing import Any

import jax

from surgvista_jax.errors import UserError
from surgvista_jax.training.checkpoint import Checkpoints
from surgvista_jax.training.state import TrainState


def restore_state(
    checkpoints: Checkpoints, abstract: TrainState, meta: dict[str, Any]
) -> tuple[TrainState, dict | None]:
    """The newest checkpoint's state, and its log window where it has one.

    Args:
        abstract: shapes and shardings of the state (`abstract_sharded`).
        meta: what the checkpoint must have been trained with.

    Raises:
        UserError: it was trained with another; or what `Checkpoints.restore` raises.
    """
    restored = checkpoints.restore(abstract.params, abstract.opt_state, abstract.average)
    for key, value in meta.items():
        if restored.meta.get(key) != value:
            raise UserError(
                f"{checkpoints.folder}: the checkpoint of step {restored.step} was trained with"
                f" another {key} ({restored.meta.get(key)}, now {value}); take another --workdir"
            )
    step = jax.jit(lambda: jax.numpy.int32(restored.step), out_shardings=abstract.step.sharding)()
    state = TrainState(step, restored.params, restored.opt_state, restored.average)
    return state, restored.meta.get("window")
