"""Of several processes, each computes its own rows: how do all come to know all rows?"""

import itertools
from collections.abc import Mapping

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from surgvista_jax.training import processes

_LONGEST = 604_800_000  # ms, a week: `standstill` and `watch` say sooner that a process hangs
_AT_ONCE = 2**28  # bytes that a device holds of what is gathered, at most, but for one row of each
_NUMBER = "row number"


def own_rows(arrays: Mapping[str, jax.Array]) -> dict[str, np.ndarray]:
    """Of arrays [B, ...] that are shared out by rows those of this process, ascending."""
    blocks = {}
    for name, array in arrays.items():
        shards = {shard.index[0].start or 0: shard.data for shard in array.addressable_shards}
        blocks[name] = [shards[first] for first in sorted(shards)]
    fetched = jax.device_get(blocks)
    return {name: np.concatenate(rows) for name, rows in fetched.items()}


def gathered(own: Mapping[str, np.ndarray], numbers: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of all processes in the order of their numbers, each once; all call it.

    They may come to it minutes apart, as each has computed its own rows at its own pace.

    Args:
        own: this process's rows, of which each process has equally many.
        numbers: of its rows, int32; several processes may have the same rows.
    """
    _wait_for_all()
    sent = {**own, _NUMBER: numbers}
    row_bytes = sum(values.nbytes for values in sent.values()) // max(len(numbers), 1)
    step = max(1, _AT_ONCE // (jax.process_count() * max(row_bytes, 1)))
    parts = []
    for first in range(0, len(numbers), step):
        some = {name: values[first : first + step] for name, values in sent.items()}
        every = multihost_utils.process_allgather(some)  # [processes, rows, ...]
        parts.append({name: rows.reshape(-1, *rows.shape[2:]) for name, rows in every.items()})
    found = {name: np.concatenate([part[name] for part in parts]) for name in sent}
    _, order = np.unique(found.pop(_NUMBER), return_index=True)
    return {name: rows[order] for name, rows in found.items()}


def _wait_for_all() -> None:
    """Waits until all processes are here.

    A first computation across processes connects them, and fails where one comes to it 30 s after
    another (Gloo); those of the program itself, if it has any, connect other groups of devices.
    """
    if processes.watched() is not None:
        barrier = ocp.multihost.get_barrier_sync_fn()
        barrier(key=f"rows of all {next(_waits)}", timeout_ms=_LONGEST)


_waits = itertools.count()  # of which all processes have done equally many
