"""Rows in shared memory: what no loader will take any more is not made, or removed at once."""

import numpy as np
import pytest

from surgvista_jax.data.batches import shared_names
from surgvista_jax.data.batches.shared_memory import SharedReader, join_rows, remove_shared


@pytest.fixture
def claim(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_names, "MEMORY", tmp_path)
    return shared_names.claim_prefix()


def make_reader(claim):
    def read(step, rows, empty):
        array = empty((rows.stop - rows.start, 3), np.uint8)
        array[:] = step
        return {"x": array}

    return SharedReader(read, slice(0, 2), 2, claim.prefix, 4)


def test_a_worker_that_is_late_leaves_nothing(claim, tmp_path):
    """One that was still starting when its loader was closed, and is killed afterwards."""
    reader = make_reader(claim)
    reader(0)
    remove_shared(claim.prefix)
    claim.release()
    for step in (1, 2):
        with pytest.raises(ValueError, match="the loader is closed"):
            reader(step)
    assert not list(tmp_path.iterdir())


def test_without_locks_batches_are_handed_over_and_removed_alike(tmp_path, monkeypatch):
    def no_locks(file):
        raise OSError("no locks")

    monkeypatch.setattr(shared_names, "MEMORY", tmp_path)
    monkeypatch.setattr(shared_names, "try_lock", no_locks)
    claim = shared_names.claim_prefix()
    batch = join_rows([make_reader(claim)(5)])
    np.testing.assert_array_equal(batch["x"], np.full((2, 3), 5))
    remove_shared(claim.prefix)
    assert not list(tmp_path.iterdir())
