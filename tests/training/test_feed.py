"""Batches on their way to the devices: in order, ahead by two, no fault lost."""

import itertools
import threading
import time

import jax
import numpy as np
import pytest

from surgvista_jax.training import partition
from surgvista_jax.training.feed import Feed


class Source:
    """Batches 0, 1, 2 … that say how far they were taken and whether they were closed."""

    def __init__(self, end=None, error=None, pause=0.0):
        self.taken = 0
        self.closed = False
        self._numbers = iter(range(end)) if end is not None else itertools.count()
        self._error = error
        self._pause = pause

    def __iter__(self):
        return self

    def __next__(self):
        time.sleep(self._pause)
        number = next(self._numbers, None)
        if number is None:
            raise self._error or StopIteration
        self.taken += 1
        return {
            "video": np.full((8, 2), number, np.uint8),
            "index": np.arange(8) + 8 * number,
            "unreadable": np.zeros((8, 2), bool),
        }

    def close(self):
        self.closed = True


@pytest.fixture
def mesh():
    return partition.make_mesh(partition.MeshConfig(-1, 2, 2))


def test_batches_come_in_order_and_host_keys_stay_on_the_host(mesh):
    source = Source(end=5)
    with Feed(source, mesh) as feed:
        for number in range(5):
            with jax.transfer_guard("disallow"):
                batch = feed.take()
            assert set(batch.arrays) == {"video"}
            np.testing.assert_array_equal(batch.arrays["video"], number)
            assert batch.arrays["video"].sharding == partition.batch_sharding(mesh)
            assert type(batch.host["index"]) is np.ndarray and batch.host["index"][0] == 8 * number
            assert batch.host["unreadable"].shape == (8, 2)
        for _ in range(2):
            with pytest.raises(StopIteration):
                feed.take()
    assert source.closed


def test_two_batches_are_made_ahead_and_no_more(mesh):
    source = Source()
    with Feed(source, mesh) as feed:
        for taken in (2, 3, 4):
            deadline = time.monotonic() + 5
            while source.taken < taken and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.05)
            assert source.taken == taken
            feed.take()
    assert source.closed
    assert all(thread.name != "feed" for thread in threading.enumerate())


def test_an_error_of_the_iterator_is_raised_in_its_turn(mesh):
    source = Source(end=1, error=OSError("no such disk"))
    with Feed(source, mesh) as feed:
        feed.take()
        with pytest.raises(OSError, match="no such disk"):
            feed.take()
    assert source.closed


class Computing:
    """An array that the devices take a while to compute."""

    def block_until_ready(self):
        time.sleep(0.3)


def test_only_time_in_which_the_devices_stand_still_counts_as_waiting(mesh):
    with Feed(Source(pause=0.2), mesh) as feed:
        feed.take(busy=Computing())
        assert feed.waited < 0.1
        before = feed.waited
        for _ in range(4):
            feed.take()
        assert feed.waited - before > 0.3
