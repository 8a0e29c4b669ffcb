"""What reads batches by grain: threads of this process, or workers that share the rows of each."""

import functools
import signal

import grain
import numpy as np
from absl import flags

from surgvista_jax.data.batches.reading import start_worker
from surgvista_jax.data.batches.shared_memory import ReadRows, SharedReader
from surgvista_jax.data.tracker import start_tracker


def in_threads(
    read: ReadRows,
    num_rows: int,
    steps: grain.MapDataset,
    threads: int,
    buffer: int,
    sources: list[grain.DatasetIterator],
) -> None:
    """Starts the threads; the one source gives whole batches."""
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + buffer)
    batches = steps.map(functools.partial(read, rows=slice(num_rows), empty=np.empty))
    sources.append(iter(batches.to_iter_dataset(options)))
    sources[0].start_prefetch()


def in_workers(
    read: ReadRows,
    num_rows: int,
    steps: grain.MapDataset,
    workers: int,
    buffer: int,
    prefix: str,
    sources: list[grain.DatasetIterator],
) -> None:
    """Starts the workers; each source gives some of the rows of every step, in their order."""
    if not flags.FLAGS.is_parsed():  # grain hands its flags to the workers
        flags.FLAGS.mark_as_parsed()
    in_step = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    alone = grain.MultiprocessingOptions(num_workers=1, per_worker_buffer_size=buffer)
    start_tracker()
    # An iterator for each worker: grain's iterator over several gives each whole batches, which
    # multiplies the memory, and does not end workers from which no batch was taken.
    for number in range(workers):
        rows = slice(num_rows * number // workers, num_rows * (number + 1) // workers)
        most = 4 + 2 * buffer
        batches = steps.map(SharedReader(read, rows, num_rows, prefix, most))
        start = functools.partial(start_worker, prefix)
        sources.append(iter(batches.to_iter_dataset(in_step).mp_prefetch(alone, start)))
        sources[-1].get_state()  # makes the part of the iterator that start_prefetch starts
    # Workers inherit the mask of this thread: Ctrl-C, a scheduler's SIGTERM and the SIGHUP of a
    # closed terminal reach every process of the group, but it is the main thread that decides how
    # the run ends.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    for source in sources:
        source.start_prefetch()
