"""From host batches to arrays on the devices, ahead of the step that needs them."""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax import stuck
from surgvista_jax.training import standstill
from surgvista_jax.training.partition import to_global
from surgvista_jax.training.preemption import Stopped, asked

HOST_KEYS = ("index", "unreadable")
# Between two looks at whether the run was told to stop, while no batch comes.
_LOOK_SECONDS = 0.1
# That the thread is given to hand over its batch, before the iterator is closed under it.
_CLOSING_SECONDS = 1.0


class Batches(Protocol):
    """Host batches one after the other; closed by whoever takes them."""

    def __iter__(self) -> Iterator[Mapping[str, np.ndarray]]: ...

    def __next__(self) -> Mapping[str, np.ndarray]: ...

    def close(self) -> None: ...


class Batch(NamedTuple):
    """One step's data.

    arrays: the global batch on the devices.
    host: this process's rows of the keys that stay on the host.
    """

    arrays: dict[str, jax.Array]
    host: dict[str, np.ndarray]


class Feed:
    """Takes host batches from an iterator and places them, in a thread, so many steps ahead.

    waited: seconds in which the devices stood still because no batch was there. Waiting while they
        still compute costs nothing and is not counted.

    Args:
        batches: this process's rows of each global batch; closed by `close`, also while they are
            waited for.
        mesh: where the arrays go.
        host_keys: keys that stay on the host.
        in_flight: batches on the devices beside the one being computed; at least 2.
    """

    def __init__(
        self,
        batches: Batches,
        mesh: Mesh,
        *,
        host_keys: Sequence[str] = HOST_KEYS,
        in_flight: int = 2,
    ):
        self.waited = 0.0
        self._batches = batches
        self._mesh = mesh
        self._host_keys = tuple(host_keys)
        self._stop = threading.Event()
        # The thread holds one more batch, which it cannot put.
        self._queue: queue.Queue = queue.Queue(maxsize=in_flight - 1)
        self._thread = threading.Thread(target=self._pull, name="feed", daemon=True)
        self._thread.start()

    def take(self, busy: Any = ()) -> Batch:
        """The next batch.

        Args:
            busy: arrays that the devices are computing.

        Raises:
            StopIteration: there are no more.
            Stopped: the run was told to stop, and may have been while none came.
            Exception: whatever the iterator raised.
        """
        if asked():
            raise Stopped
        try:
            item = self._queue.get_nowait()
        except queue.Empty:
            jax.block_until_ready(busy)
            start = time.perf_counter()
            item = self._wait()
            self.waited += time.perf_counter() - start
        if isinstance(item, BaseException):
            self._queue.put(item)  # every further call raises it again
            raise item
        standstill.alive()
        return item

    def close(self) -> None:
        """Ends the thread and closes the iterator; gives up on one that is stuck."""
        self._stop.set()
        try:
            self._end_thread()
            with contextlib.suppress(ValueError):  # of a generator that is stuck
                self._batches.close()
            self._end_thread()
        except KeyboardInterrupt:
            stuck.hurry()
            raise

    def _wait(self) -> Any:
        while True:
            try:
                return self._queue.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if asked():
                    raise Stopped from None

    def _end_thread(self) -> None:
        deadline = time.monotonic() + _CLOSING_SECONDS
        while self._thread.is_alive() and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._queue.get_nowait()
            self._thread.join(0.02)

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _pull(self) -> None:
        try:
            for batch in self._batches:
                host = {key: batch[key] for key in self._host_keys if key in batch}
                rest = {key: value for key, value in batch.items() if key not in host}
                self._queue.put(Batch(to_global(self._mesh, rest), host))
                if self._stop.is_set():
                    return
            self._queue.put(StopIteration())
        except BaseException as error:  # raised again by `take`
            self._queue.put(error)
