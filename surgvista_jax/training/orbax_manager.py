"""Orbax's manager as a run uses it: the items of a checkpoint, and which checkpoints are kept."""

import functools
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from surgvista_jax.training.digests import ITEM as DIGESTS

TREES = ("params", "opt_state", "average")
# Of an array that several devices hold alike, each writes its part, if that is as large. Cutting
# hundreds of small ones holds the next step up for longer than one device needs to hand them over.
_PART_BYTES = 2**20


class Manager(ocp.CheckpointManager):
    """Orbax's manager without its own look at preemption.

    Orbax asks about preemption from its finalizing thread with the step being saved, which tells
    the protocol behind `training/preemption.py` that this process is further back than it is.
    """

    def reached_preemption(self, step: int) -> bool:
        return False


def make_manager(folder: Path, max_to_keep: int, keep_every: int) -> Manager:
    """The manager of a run's checkpoints.

    Args:
        folder: absolute; it exists.
        max_to_keep: the newest so many stay.
        keep_every: so do those at its multiples; 0 for none.
    """
    keep_small_arrays_whole()
    policy = ocp.checkpoint_managers
    kept = [policy.LatestN(max_to_keep)]
    if keep_every:
        kept.append(policy.EveryNSteps(keep_every))
    handlers = {item: ocp.StandardCheckpointHandler() for item in TREES}
    values = {item: ocp.JsonCheckpointHandler() for item in ("meta", DIGESTS)}
    return Manager(
        folder,
        options=ocp.CheckpointManagerOptions(
            preservation_policy=policy.AnyPreservationPolicy(kept)
        ),
        item_handlers={**handlers, **values},
    )


@functools.cache
def keep_small_arrays_whole() -> None:
    """Has arrays below a MiB written by one device, once for the process."""
    whole = ocp.type_handlers.ArrayHandler(min_slice_bytes_for_replica_parallel=_PART_BYTES)
    ocp.type_handlers.register_type_handler(jax.Array, whole, override=True)
