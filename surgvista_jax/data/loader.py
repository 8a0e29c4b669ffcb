"""Who decodes the batches ahead of time, and how do they stop?

Threads of this process, each a batch; or worker processes, which share the rows of every batch.
OpenCV decodes outside Python's global lock, so that threads do where the training loop leaves the
lock alone, and processes where it does not. Workers write the large array of a batch straight into
shared memory, from where this process uses it without a copy.
"""

import dataclasses
import functools
import math
import mmap
import os
import signal
import tempfile
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import connection, parent_process
from pathlib import Path

import cv2
import grain
import numpy as np
from absl import flags

from surgvista_jax.errors import UserError

Batch = dict[str, np.ndarray]
# Called with (step, rows, empty): returns these rows of the batch of a step, in arrays whose first
# axis is the row. It takes its large array from the allocator `empty(shape, dtype)`.
ReadRows = Callable[[int, slice, Callable[..., np.ndarray]], Batch]

# Held while a worker makes a file of shared memory, and from when its parent is gone.
_CREATING = threading.Lock()


@dataclasses.dataclass(frozen=True, slots=True)
class LoaderConfig:
    """How batches are read. It decides speed and memory only, never what is in a batch.

    Attributes:
        workers: processes that decode, each some rows of every batch; 0 = threads of this process.
        threads: threads that decode, each one batch at a time, where `workers` is 0.
        buffer: finished batches kept ready. Batches in memory beside the one in use: at most
            `threads` + `buffer`, or with workers 3 + 2 * `buffer`.
    """

    workers: int = 0
    threads: int = 2
    buffer: int = 2

    def __post_init__(self):
        for key, lowest in (("workers", 0), ("threads", 1), ("buffer", 1)):
            value = getattr(self, key)
            if not isinstance(value, int) or value < lowest:
                raise UserError(f"loader.{key}={value!r}: an integer from {lowest} on is needed")


class BatchLoader(Iterator[Batch]):
    """The batches of consecutive steps, decoded ahead from the moment that this is made.

    It holds threads or processes: close it, or use it as a context manager.
    """

    def __init__(
        self, read: ReadRows, num_rows: int, start_step: int, num_steps: int, config: LoaderConfig
    ):
        """Reads batches of `num_rows` for the steps `start_step` to `num_steps` - 1.

        `read` is called in several threads, or pickled and called in the workers.
        """
        # Batches are decoded side by side already: OpenCV's own threads would only get in the way.
        cv2.setNumThreads(0)
        steps = grain.MapDataset.range(start_step, max(start_step, num_steps))
        self._left = len(steps)
        if config.workers:
            folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
            prefix = f"{folder}/surgvista-{os.getpid()}-{uuid.uuid4().hex}-"
            self._sources = _worker_sources(read, num_rows, steps, config, prefix)
        else:
            prefix = None
            options = grain.ReadOptions(
                num_threads=config.threads, prefetch_buffer_size=config.threads + config.buffer
            )
            batches = steps.map(functools.partial(read, rows=slice(num_rows), empty=np.empty))
            self._sources = [iter(batches.to_iter_dataset(options))]
            self._sources[0].start_prefetch()
        self._closer = weakref.finalize(self, _close, self._sources, prefix)

    def __next__(self) -> Batch:
        if not self._closer.alive:
            raise ValueError("the loader is closed")
        if not self._left:
            raise StopIteration
        try:
            parts = [next(source) for source in self._sources]
        except RuntimeError as error:
            if "terminated unexpectedly" not in str(error):  # grain's words for a dead worker
                raise
            raise UserError(
                f"a loader worker died ({error}); it is often killed for memory: lower "
                "loader.workers or loader.buffer, or set loader.workers=0"
            ) from error
        self._left -= 1
        return _join(parts) if isinstance(parts[0], _SharedRows) else parts[0]

    def close(self) -> None:
        """Stops decoding and ends the workers; batches handed out before stay valid."""
        if self._closer.alive and self._sources:
            # A worker stops when it has finished its batch: wait for all of them at once.
            with ThreadPoolExecutor(len(self._sources)) as closers:
                list(closers.map(lambda source: source.close(), self._sources))
        self._closer()

    def __enter__(self) -> "BatchLoader":
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def _close(sources: list[grain.DatasetIterator], prefix: str | None) -> None:
    """Closes what is not closed yet; also runs when the loader is forgotten or Python exits."""
    while sources:  # an iterator that outlives this would complain while Python shuts down
        sources.pop().close()
    if prefix:
        _remove_shared(prefix)


def _worker_sources(
    read: ReadRows, num_rows: int, steps: grain.MapDataset, config: LoaderConfig, prefix: str
) -> list[grain.DatasetIterator]:
    """Starts the workers; each source gives some of the rows of every step, in their order."""
    if not hasattr(os, "posix_fallocate"):
        raise UserError(f"loader.workers={config.workers}: workers need Linux; set it to 0")
    if not flags.FLAGS.is_parsed():  # grain hands its flags to the workers
        flags.FLAGS.mark_as_parsed()
    in_step = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    process = grain.MultiprocessingOptions(num_workers=1, per_worker_buffer_size=config.buffer)
    # An iterator for each worker: grain's for many hands whole batches to each, which takes as many
    # times the memory, and does not end the workers that no batch was taken from.
    workers = min(config.workers, num_rows)
    sources = []
    for number in range(workers):
        rows = slice(num_rows * number // workers, num_rows * (number + 1) // workers)
        batches = steps.map(_SharedReader(read, rows, num_rows, prefix))
        sources.append(
            iter(
                batches.to_iter_dataset(in_step).mp_prefetch(
                    process, functools.partial(_start_worker, prefix)
                )
            )
        )
    for source in sources:
        source.get_state()  # makes the part of the iterator that start_prefetch starts
    # A worker inherits the mask: Ctrl-C and a scheduler's SIGTERM reach every process of the group,
    # but it is this process that decides how the run ends.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        for source in sources:
            source.start_prefetch()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return sources


def _start_worker(prefix: str, number: int, count: int) -> None:
    """Runs in a worker before its first batch."""
    cv2.setNumThreads(0)

    def follow_parent() -> None:
        connection.wait([parent_process().sentinel])
        _CREATING.acquire()
        _remove_shared(prefix)
        os._exit(1)

    # A parent that was killed could tell nobody: without this its workers would wait for ever.
    threading.Thread(target=follow_parent, daemon=True).start()


def _remove_shared(prefix: str) -> None:
    """Removes what was written for this process but not opened by it."""
    prefix = Path(prefix)
    for path in prefix.parent.glob(prefix.name + "*"):
        path.unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class _SharedArray:
    """An array in shared memory, of which each worker writes some rows."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def make_rows(self, rows: slice) -> np.ndarray:
        """Returns rows of the array, not set to anything; the first worker makes the array."""
        size = math.prod(self.shape) * self.dtype.itemsize
        row_size = size // self.shape[0]
        with _CREATING:
            file = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.ftruncate(file, size)
            # Writing to memory that turns out not to be there would kill the process.
            os.posix_fallocate(file, rows.start * row_size, (rows.stop - rows.start) * row_size)
            return self._map(file)[rows]
        finally:
            os.close(file)

    def take(self) -> np.ndarray:
        """Returns the array, once: its memory is given back when nothing uses it any more."""
        file = os.open(self.path, os.O_RDWR)
        try:
            os.unlink(self.path)
            return self._map(file)
        finally:
            os.close(file)

    def _map(self, file: int) -> np.ndarray:
        return np.frombuffer(mmap.mmap(file, 0), self.dtype).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class _SharedRows:
    """Some rows of a batch; those of a large array lie in shared memory."""

    arrays: dict[str, np.ndarray | _SharedArray]


def _join(parts: list[_SharedRows]) -> Batch:
    """Returns the batch of which these are all the rows, in order."""
    batch = {}
    for key, first in parts[0].arrays.items():
        if isinstance(first, _SharedArray):
            batch[key] = first.take()
        else:
            batch[key] = np.concatenate([part.arrays[key] for part in parts])
    return batch


@dataclasses.dataclass(frozen=True)
class _SharedReader:
    """Reads a worker's rows of a batch, large arrays into shared memory."""

    read: ReadRows
    rows: slice
    num_rows: int
    prefix: str

    def __call__(self, step: int) -> _SharedRows:
        shared = {}

        def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
            path = f"{self.prefix}{step}-{len(shared)}"
            whole = _SharedArray(path, (self.num_rows, *shape[1:]), np.dtype(dtype))
            try:
                array = whole.make_rows(self.rows)
            except OSError as error:
                raise UserError(
                    f"{Path(path).parent}: no shared memory for another batch ({error.strerror}): "
                    "lower loader.buffer, set loader.workers=0, or give the container more "
                    "(docker: --shm-size)"
                ) from None
            shared[id(array)] = whole
            return array

        batch = self.read(step, self.rows, empty)
        return _SharedRows({key: shared.get(id(value), value) for key, value in batch.items()})
