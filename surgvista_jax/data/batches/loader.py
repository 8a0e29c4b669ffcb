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
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import active_children, process

import cv2
import grain

from surgvista_jax import stuck
from surgvista_jax.checks import check, check_whole
from surgvista_jax.data.batches.reading import Reading
from surgvista_jax.data.batches.shared_memory import (
    Batch,
    ReadRows,
    SharedRows,
    join_rows,
    remove_shared,
)
from surgvista_jax.data.batches.shared_names import Claim, claim_prefix, remove_left
from surgvista_jax.data.batches.sources import in_threads, in_workers
from surgvista_jax.data.open_files import make_room
from surgvista_jax.errors import UserError

# That a worker or a thread is given to finish what it reads before it is killed or left alone.
_CLOSE_SECONDS = 5.0
# That they are given to appear; one that cannot start is told of by grain.
_START_SECONDS = 10.0
# Those of its pipes and locks in this process, and what training opens besides.
_FILES_OF_A_WORKER, _FILES_OF_A_RUN = 12, 64
# One collector at a time starts workers, so that it knows which are its own.
_STARTING = threading.Lock()


@dataclasses.dataclass(frozen=True, slots=True)
class LoaderConfig:
    """How batches are read. It decides speed and memory only, never what is in a batch.

    Attributes:
        workers: processes that decode, each some rows of every batch; 0 = threads of this process.
        threads: threads that decode, each one batch at a time, where `workers` is 0.
        buffer: finished batches kept ready. Batches in memory beside the one in use: at most
            1 + `threads` + `buffer`, or with workers 4 + 2 * `buffer`.
        patience: seconds without a batch after which reading is given up as stuck.
    """

    workers: int = 0
    threads: int = 2
    buffer: int = 2
    patience: float = 1800.0

    def __post_init__(self) -> None:
        check_whole(self, 0, "workers", highest=1024)
        check_whole(self, 1, "threads", "buffer", highest=1024)
        check(self, "from 0 (excluded) to 86400 seconds", lambda s: 0 < s <= 86400, "patience")


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
        remove_left()
        self._patience = config.patience
        steps = grain.MapDataset.range(start_step, max(start_step, num_steps))
        self._left = len(steps)
        self._collector = _Collector(read, num_rows, steps, config)
        self._closer = weakref.finalize(self, self._collector.end)
        self._collector.start()

    def __len__(self) -> int:
        """Batches that are still to come."""
        return self._left

    def __next__(self) -> Batch:
        if not self._closer.alive:
            raise ValueError("the loader is closed")
        if not self._left:
            raise StopIteration
        self._collector.wanted.put(True)
        try:
            batch = self._collector.ready.get(timeout=self._patience)
        except queue.Empty:
            batch = UserError(
                f"no batch came for {self._patience:g} s (loader.patience): reading is stuck; does"
                " the disk of the data still answer?"
            )
        if isinstance(batch, BaseException):
            self._left = 0
            raise batch
        self._left -= 1
        return batch

    def close(self) -> None:
        """Stops decoding and ends the workers; batches handed out before stay valid.

        Another thread that waits for a batch gets a ValueError instead.
        """
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
        self._claim: Claim | None = None
        self._before: set[process.BaseProcess] | None = None
        self._workers: list[process.BaseProcess] = []
        self._reading = Reading(read)
        if config.workers:
            workers = min(config.workers, num_rows)
            make_room(workers * _FILES_OF_A_WORKER + _FILES_OF_A_RUN, f"{workers} loader workers")
            self._claim = claim_prefix()
            self._make = functools.partial(
                in_workers, read, num_rows, steps, workers, config.buffer, self._claim.prefix
            )
        else:
            self._make = functools.partial(
                in_threads, self._reading, num_rows, steps, config.threads, config.buffer
            )
        self._sources: list[grain.DatasetIterator] = []
        _COLLECTORS.add(self)

    def run(self) -> None:
        try:
            if self._num_batches:
                with _STARTING:
                    self._before = set(active_children())
                    self._make(self._sources)
                    self._wait_for_workers()
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
        """Ends the thread and the workers; called by another thread.

        What hangs is killed; what cannot be killed, as a thread that reads from a server that is
        gone, is left alone.
        """
        self._ending = True
        self.wanted.put(False)
        try:
            self._wait_until_free()
        finally:  # Ctrl-C may cut it short
            if self._is_stuck():
                self._kill_workers()
                stuck.note(self._is_stuck)
            if self._claim is not None:
                remove_shared(self._claim.prefix)
                self._claim.release()
        self.ready.put(ValueError("the loader is closed"))

    def _wait_until_free(self) -> None:
        with contextlib.suppress(RuntimeError):  # Ctrl-C came before it had begun
            self.join(_CLOSE_SECONDS)
            deadline = time.monotonic() + _CLOSE_SECONDS
            while self._is_stuck() and time.monotonic() < deadline:
                self._kill_workers()
                self.join(0.05)

    def _kill_workers(self) -> None:
        self._workers = self._workers or self._own_children()
        for worker in self._workers:
            worker.kill()

    def _wait_for_workers(self) -> None:
        """Gets hold of the workers, which grain's threads start."""
        deadline = time.monotonic() + _START_SECONDS
        while self._claim and not self._ending and time.monotonic() < deadline:
            started = self._own_children()
            if len(started) >= len(self._sources):
                self._workers = started
                return
            time.sleep(0.01)

    def _own_children(self) -> list[process.BaseProcess]:
        """The processes that its sources have started; none where they may be another loader's."""
        if self._claim is None or self._before is None:
            return []
        others = [other for other in _COLLECTORS if other is not self and other._claim is not None]
        # One whose thread has ended has closed its sources, and so its workers are gone.
        running = [other for other in others if other.is_alive()]
        if any(other._before is not None and not other._workers for other in running):
            return []
        taken = self._before.union(*(other._workers for other in others))
        return [child for child in active_children() if child not in taken]

    def _is_stuck(self) -> bool:
        working = any(worker.is_alive() for worker in self._workers)
        return self.is_alive() or self._reading.is_busy() or working

    def _close_sources(self) -> None:
        # A worker stops when it has finished its rows: wait for all of them at once, unless Python
        # is shutting down and starts no more threads.
        with contextlib.suppress(RuntimeError), ThreadPoolExecutor() as closers:
            list(closers.map(lambda source: source.close(), self._sources))
        while self._sources:  # grain's iterators complain when they outlive the modules they use
            self._sources.pop().close()


_COLLECTORS: weakref.WeakSet[_Collector] = weakref.WeakSet()


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
