"""The loader: threads or processes that decode batches ahead of time, and how they stop.

Threads of this process, each a batch; or worker processes, which share the rows of every batch.
OpenCV decodes outside Python's global lock, so threads suffice where the training loop leaves the
lock alone; where it does not, processes are needed.
"""

import contextlib
import dataclasses
import functools
import os
import queue
import signal
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import connection, parent_process

import cv2
import grain
import numpy as np
from absl import flags

from surgvista_jax.checks import check_whole
from surgvista_jax.data.batches.shared_memory import (
    Batch,
    ReadRows,
    SharedReader,
    SharedRows,
    join_rows,
    new_prefix,
    remove_shared,
)
from surgvista_jax.errors import UserError

# Longer than grain gives a worker (25 s) before it kills it.
_CLOSE_SECONDS = 60


@dataclasses.dataclass(frozen=True, slots=True)
class LoaderConfig:
    """How batches are read. It decides speed and memory only, never what is in a batch.

    Attributes:
        workers: processes that decode, each some rows of every batch; 0 = threads of this process.
        threads: threads that decode, each one batch at a time, where `workers` is 0.
        buffer: finished batches kept ready. Batches in memory beside the one in use: at most
            1 + `threads` + `buffer`, or with workers 4 + 2 * `buffer`.
    """

    workers: int = 0
    threads: int = 2
    buffer: int = 2

    def __post_init__(self) -> None:
        check_whole(self, 0, "workers", highest=1024)
        check_whole(self, 1, "threads", "buffer", highest=1024)


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
        if config.workers and not hasattr(os, "posix_fallocate"):
            raise UserError(
                f"{config.workers} loader workers need Linux: set config.loader.workers, or"
                " --workers, to 0"
            )
        # Batches are decoded side by side already: OpenCV's own threads would only get in the way.
        cv2.setNumThreads(0)
        steps = grain.MapDataset.range(start_step, max(start_step, num_steps))
        self._left = len(steps)
        self._collector = _Collector(read, num_rows, steps, config)
        self._collector.start()
        self._closer = weakref.finalize(self, self._collector.end)

    def __len__(self) -> int:
        """Batches that are still to come."""
        return self._left

    def __next__(self) -> Batch:
        if not self._closer.alive:
            raise ValueError("the loader is closed")
        if not self._left:
            raise StopIteration
        self._collector.wanted.put(True)
        batch = self._collector.ready.get()
        if isinstance(batch, BaseException):
            self._left = 0
            raise batch
        self._left -= 1
        return batch

    def close(self) -> None:
        """Stops decoding and ends the workers; batches handed out before stay valid."""
        self._closer()

    def __enter__(self) -> "BatchLoader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Collector(threading.Thread):
    """Takes the batches from grain, one more than was asked for, and ends grain's threads.

    Ctrl-C interrupts the main thread only, at any point, and now and then it would leave the queues
    of a grain iterator in a state in which closing it waits for ever. So the main thread never
    enters one: it shares nothing with this thread but two queues that cannot be left half-changed.
    """

    def __init__(
        self, read: ReadRows, num_rows: int, steps: grain.MapDataset, config: LoaderConfig
    ):
        super().__init__(daemon=True, name="batch-collector")
        self.wanted: queue.SimpleQueue[bool] = (
            queue.SimpleQueue()
        )  # True for another batch, False to end
        self.ready: queue.SimpleQueue = (
            queue.SimpleQueue()
        )  # batches, or the exception that ended them
        self._ending = False
        self._num_batches = len(steps)
        self._prefix = new_prefix()
        if config.workers:
            self._make = functools.partial(
                _worker_sources, read, num_rows, steps, config, self._prefix
            )
        else:
            self._make = functools.partial(_thread_source, read, num_rows, steps, config)
        self._sources: list[grain.DatasetIterator] = []

    def run(self) -> None:
        try:
            if self._num_batches:
                self._make(self._sources)
            for number in range(self._num_batches):
                if number and not self.wanted.get() or self._ending:
                    break
                parts = [next(source) for source in self._sources]
                self.ready.put(join_rows(parts) if isinstance(parts[0], SharedRows) else parts[0])
        except RuntimeError as error:
            self.ready.put(_explained(error))
        except BaseException as error:
            self.ready.put(error)
        finally:
            self._close_sources()

    def end(self) -> None:
        """Ends the thread; called by another one."""
        self._ending = True
        self.wanted.put(False)
        self.join(_CLOSE_SECONDS)

    def _close_sources(self) -> None:
        # A worker stops when it has finished its rows: wait for all of them at once, unless Python
        # is shutting down and starts no more threads.
        with contextlib.suppress(RuntimeError), ThreadPoolExecutor() as closers:
            list(closers.map(lambda source: source.close(), self._sources))
        while self._sources:  # grain's iterators complain when they outlive the modules they use
            self._sources.pop().close()
        remove_shared(self._prefix)


def _explained(error: RuntimeError) -> Exception:
    """Returns the user's mistake behind an error of grain, or the error."""
    if "terminated unexpectedly" not in str(error):  # grain's words for a dead worker
        return error
    explained = UserError(
        f"a loader worker died ({error}); it is often killed for memory: lower loader.workers or "
        "loader.buffer, or set loader.workers=0"
    )
    explained.__cause__ = error
    return explained


def _thread_source(
    read: ReadRows,
    num_rows: int,
    steps: grain.MapDataset,
    config: LoaderConfig,
    sources: list[grain.DatasetIterator],
) -> None:
    """Starts the threads; the one source gives whole batches."""
    options = grain.ReadOptions(
        num_threads=config.threads, prefetch_buffer_size=config.threads + config.buffer
    )
    batches = steps.map(functools.partial(read, rows=slice(num_rows), empty=np.empty))
    sources.append(iter(batches.to_iter_dataset(options)))
    sources[0].start_prefetch()


def _worker_sources(
    read: ReadRows,
    num_rows: int,
    steps: grain.MapDataset,
    config: LoaderConfig,
    prefix: str,
    sources: list[grain.DatasetIterator],
) -> None:
    """Starts the workers; each source gives some of the rows of every step, in their order."""
    if not flags.FLAGS.is_parsed():  # grain hands its flags to the workers
        flags.FLAGS.mark_as_parsed()
    in_step = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    process = grain.MultiprocessingOptions(num_workers=1, per_worker_buffer_size=config.buffer)
    # An iterator for each worker: grain's iterator over several gives each whole batches, which
    # multiplies the memory, and does not end workers from which no batch was taken.
    workers = min(config.workers, num_rows)
    for number in range(workers):
        rows = slice(num_rows * number // workers, num_rows * (number + 1) // workers)
        batches = steps.map(SharedReader(read, rows, num_rows, prefix))
        start = functools.partial(_start_worker, prefix)
        sources.append(iter(batches.to_iter_dataset(in_step).mp_prefetch(process, start)))
        sources[-1].get_state()  # makes the part of the iterator that start_prefetch starts
    # Workers inherit the mask of this thread: Ctrl-C and a scheduler's SIGTERM reach every process
    # of the group, but it is the main thread that decides how the run ends.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    for source in sources:
        source.start_prefetch()


def _start_worker(prefix: str, number: int, count: int) -> None:
    """Runs in a worker before its first batch."""
    cv2.setNumThreads(0)

    parent = parent_process()
    assert parent is not None

    def follow_parent() -> None:
        connection.wait([parent.sentinel])
        remove_shared(prefix, for_good=True)
        os._exit(1)

    # A killed parent cannot tell its workers: without this they would wait for ever.
    threading.Thread(target=follow_parent, daemon=True).start()
