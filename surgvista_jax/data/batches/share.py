"""A process's share of a run's batches: which rows of which."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Share:
    """This process's part of a run's batches.

    Attributes:
        batch_size: rows of a global batch: clips, or stretches of several.
        rows: which rows of it, ascending: those of this process's devices.
        start_step: the first batch.
        num_steps: the length of the whole run, at whatever step it starts.
    """

    batch_size: int
    rows: np.ndarray
    start_step: int
    num_steps: int

    def __post_init__(self) -> None:
        check_rows(self.rows, self.batch_size)


def check_rows(rows: np.ndarray, batch_size: int) -> None:
    """Raises ValueError for rows that a batch does not have."""
    if not 0 <= min(rows) <= max(rows) < batch_size:
        raise ValueError(f"rows {rows} of a batch of {batch_size}")
