"""Is a run that was killed the same as an uninterrupted one, whatever is left on its own disk?"""

import shutil

import jax
import numpy as np
import pytest

from surgvista_jax.training import local_checkpoint
from surgvista_jax.training.checkpoint import CheckpointConfig
from surgvista_jax.training.checkpoint_files import saved_steps
from surgvista_jax.training.local_checkpoint import LocalCheckpoints
from tests.support.toy_run import STEPS, Batches, metrics, train

LOSS_KEYS = ("loss", "learning_rate", "skipped_steps", "unreadable_frames")


class Killed(BaseException):
    """Leaves a run no time to save."""


def kill():
    raise Killed


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, train(folder, log_every=1)


@pytest.fixture
def start(tmp_path):
    """Starts a run that saves at 10 and 20, and every 3 steps on its own disk."""

    def begin(at=None, **options):
        batches = lambda step: Batches(step, at={} if at is None else {at: kill})  # noqa: E731
        options = {"make_batches": batches, "local_every": 3, "save_every": 10, **options}
        return train(
            tmp_path / "run", log_every=1, local_folder=str(tmp_path / "own disk"), **options
        )

    def killed(at, **options):
        with pytest.raises(Killed):
            begin(at, **options)

    begin.killed, begin.folder = killed, tmp_path / "run"
    return begin


def own_files(tmp_path):
    return {
        int(path.name.split(".")[0]): path for path in tmp_path.glob("own disk/*/*.safetensors")
    }


def assert_ends_as(start, uninterrupted, **options):
    folder, other = uninterrupted
    finished = start(**options)
    jax.tree.map(np.testing.assert_array_equal, finished.state, other.state)
    assert metrics(start.folder, *LOSS_KEYS) == metrics(folder, *LOSS_KEYS)


def test_a_killed_run_goes_on_from_its_own_disk(start, uninterrupted, tmp_path, capsys):
    start.killed(17)
    assert saved_steps(start.folder / "checkpoints") == [10]
    assert set(own_files(tmp_path)) == {12, 15}
    seen = []
    assert_ends_as(
        start, uninterrupted, make_batches=lambda step: seen.append(step) or Batches(step)
    )
    assert seen == [15]
    assert "step 15 is newer than step 10 of the shared ones" in capsys.readouterr().err
    assert not own_files(tmp_path)  # the shared disk has the end


def test_before_the_first_shared_one_too(start, uninterrupted, capsys):
    start.killed(8)
    assert_ends_as(start, uninterrupted)
    assert "step 6 is newer than any shared one" in capsys.readouterr().err


def test_a_damaged_one_leaves_the_one_before(start, uninterrupted, tmp_path, capsys):
    start.killed(17)
    path = own_files(tmp_path)[15]
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    assert_ends_as(start, uninterrupted)
    assert "step 12 is newer than step 10" in capsys.readouterr().err


def test_a_lost_machine_leaves_the_shared_ones(start, uninterrupted, tmp_path, capsys):
    start.killed(17)
    shutil.rmtree(tmp_path / "own disk")
    assert_ends_as(start, uninterrupted)
    assert "newer than" not in capsys.readouterr().err


def test_a_machine_that_comes_back_brings_no_course_that_was_left(start, uninterrupted, tmp_path):
    """The lines of its steps are gone from the metrics."""
    start.killed(17)
    (tmp_path / "own disk").rename(tmp_path / "away")
    start.killed(11)  # from 10, and before anything is written
    (tmp_path / "away").rename(tmp_path / "own disk")
    seen = []
    assert_ends_as(
        start, uninterrupted, make_batches=lambda step: seen.append(step) or Batches(step)
    )
    assert seen == [10]


def test_one_that_another_process_lacks_is_not_taken(start, tmp_path, monkeypatch):
    start.killed(17)
    run = LocalCheckpoints(tmp_path / "own disk", start.folder / "checkpoints")
    assert run.steps(10) == [15, 12] and run.steps(12) == [15]
    own = run._process

    def gather(told):
        return np.array([told, [12, -1]])

    for row, expected in (([12, -1], [12]), ([15, 12], [15, 12]), ([-1, -1], [])):
        with monkeypatch.context() as several:
            several.setattr(jax, "process_count", lambda: 2)
            several.setattr(
                local_checkpoint.multihost_utils,
                "process_allgather",
                lambda told, row=row: np.array([told, row]),
            )
            several.setattr(
                local_checkpoint.multihost_utils, "broadcast_one_to_all", lambda words: words
            )
            assert run._process == own and run.steps(10) == expected
    run.close()


def test_steps_that_an_error_may_disown_are_not_kept(start, tmp_path):
    batches = lambda step: Batches(step, at={17: kill}, unreadable={13})  # noqa: E731
    with pytest.raises(Killed):
        start(make_batches=batches, max_unreadable_share=0.5)
    assert set(own_files(tmp_path)) == {12}


def test_a_disk_that_cannot_be_written_is_said_once_and_costs_nothing(
    start, uninterrupted, tmp_path, capsys
):
    (tmp_path / "own disk").touch()
    assert_ends_as(start, uninterrupted)
    assert capsys.readouterr().err.count("WARNING: no local checkpoint: ") == 1


@pytest.mark.parametrize(
    "wrong", [{"local_every": 5}, {"local_folder": "/nvme"}, {"local_every": -1}]
)
def test_how_often_and_where_go_together(wrong):
    with pytest.raises(ValueError, match="local_every"):
        CheckpointConfig(**wrong)
    assert STEPS == 20  # what the steps above are chosen for
