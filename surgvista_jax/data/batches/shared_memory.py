"""Rows that several workers wrote, as one batch in this process, without a copy.

A file in memory for each large array: every worker writes its rows into it, and the process that
trains maps it and removes its name at once, so that the memory is freed with the array.
"""

import dataclasses
import math
import mmap
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from surgvista_jax.data.batches.shared_names import no_room, owner_path

Batch = dict[str, np.ndarray]


class ReadRows(Protocol):
    """Reads some rows of the batch of a step."""

    def __call__(self, step: int, rows: slice, empty: Callable[..., np.ndarray]) -> Batch:
        """Returns arrays whose first axis is the row; `empty(shape, dtype)` makes the large one."""


# Held while a worker makes a file, and for good once its parent is gone.
_MAKING = threading.Lock()


@dataclasses.dataclass(frozen=True)
class SharedArray:
    """An array in shared memory, of which each worker writes some rows."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def make_rows(self, rows: slice) -> np.ndarray:
        """Returns rows of the array, uninitialised; the first worker makes the array."""
        size = math.prod(self.shape) * self.dtype.itemsize
        row_size = size // self.shape[0]
        with _MAKING:
            file = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.ftruncate(file, size)
            # Writing to memory that cannot be provided would kill the process.
            os.posix_fallocate(file, rows.start * row_size, (rows.stop - rows.start) * row_size)
            return self._map(file)[rows]
        finally:
            os.close(file)

    def take(self) -> np.ndarray:
        """Returns the array, once: its memory is freed when nothing uses it any more."""
        file = os.open(self.path, os.O_RDWR)
        try:
            os.unlink(self.path)
            return self._map(file)
        finally:
            os.close(file)

    def _map(self, file: int) -> np.ndarray:
        return np.frombuffer(mmap.mmap(file, 0), self.dtype).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class SharedRows:
    """Some rows of a batch; those of a large array lie in shared memory."""

    arrays: dict[str, np.ndarray | SharedArray]


def join_rows(parts: list[SharedRows]) -> Batch:
    """Returns the batch of which these are all the rows, in order."""
    batch = {}
    for key, first in parts[0].arrays.items():
        if isinstance(first, SharedArray):
            batch[key] = first.take()
        else:
            batch[key] = np.concatenate([part.arrays[key] for part in parts])
    return batch


@dataclasses.dataclass(frozen=True)
class SharedReader:
    """Reads a worker's rows of a batch, large arrays into shared memory.

    Attributes:
        read: reads any rows.
        rows: the rows of this worker, of `num_rows`.
        prefix: how the paths of all workers' files start, of `claim_prefix`.
        most: how many batches may be in memory at a time.
    """

    read: ReadRows
    rows: slice
    num_rows: int
    prefix: str
    most: int

    def __call__(self, step: int) -> SharedRows:
        shared: dict[int, SharedArray] = {}

        def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
            path = f"{self.prefix}{step}-{len(shared)}"
            whole = SharedArray(path, (self.num_rows, *shape[1:]), np.dtype(dtype))
            try:
                array = whole.make_rows(self.rows)
                if not owner_path(self.prefix).exists():  # who would have removed it has done so
                    os.unlink(path)
                    raise ValueError("the loader is closed")
            except FileNotFoundError:  # another worker was as late
                raise ValueError("the loader is closed") from None
            except OSError as error:
                size = math.prod(whole.shape) * whole.dtype.itemsize
                raise no_room(Path(path), size, self.most, error.strerror) from None
            shared[id(array)] = whole
            return array

        batch = self.read(step, self.rows, empty)
        return SharedRows({key: shared.get(id(value), value) for key, value in batch.items()})


def remove_shared(prefix: str, for_good: bool = False) -> None:
    """Removes what was made and not taken, and the file that stands for it.

    Without that, workers remove what they make: of one that was still starting, which is killed
    later, nothing is left over.

    Args:
        for_good: this process makes no more.
    """
    if for_good:
        _MAKING.acquire()
    start = Path(prefix)

    def remove_files() -> None:
        for path in start.parent.glob(start.name + "*"):
            path.unlink(missing_ok=True)

    remove_files()
    owner_path(prefix).unlink(missing_ok=True)
    remove_files()  # what was made since, by a worker that still saw it
