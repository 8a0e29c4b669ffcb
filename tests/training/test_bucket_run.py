"""A run whose data and folder lie in a bucket is the run of a disk, whichever machine goes on."""

import json
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from surgvista_jax import buckets
from surgvista_jax.__main__ import main
from surgvista_jax.buckets import Bucket
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.packing import pack
from surgvista_jax.errors import UserError
from surgvista_jax.training import bucket_run
from surgvista_jax.training.bucket_run import folder_of_run
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.training.lease import NAME as LEASE
from surgvista_jax.training.mirror import Mirror
from tests.support.fake_bucket import stand_in, upload
from tests.support.one_device import on_one_device
from tests.support.tiny_run import lines, make_config, make_dataset

DATA, RUN = "gs://bucket/noise", "gs://bucket/runs/tiny"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return stand_in(tmp_path / "objects")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = make_dataset(tmp_path_factory.mktemp("data") / "noise")
    pack(read_dataset(folder), num_workers=1)
    return folder


def copy_of(folder):
    """The run in the bucket, copied to a folder."""
    folder.mkdir()
    there = Mirror(Bucket(RUN), folder)
    there.fetch(there.look())
    return folder


def numbers(folder):
    """Lines of metrics by step, without speeds."""
    return {
        step: {name: line[name] for name in line.keys() - {"clips_per_second", "data_wait_share"}}
        for step, line in lines(folder).items()
    }


def test_a_run_in_a_bucket_goes_on_on_another_machine(store, dataset, tmp_path, monkeypatch):
    upload(dataset, DATA)
    config = make_config(tmp_path / "config.py", dataset)
    words = ["pretrain", f"--config={config}:none", "--config.budget.steps=4"]
    there = [*words, f"--workdir={RUN}", f"--config.data.folder={DATA}"]
    with on_one_device():
        assert main([*words, f"--workdir={tmp_path / 'disk'}"]) == 0
        assert main([*there, "--config.loop.stop_after=2"]) == 0
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
        assert main(there) == 0
    assert LEASE not in Bucket(RUN).sizes()
    copy = copy_of(tmp_path / "copy")
    assert numbers(copy) == numbers(tmp_path / "disk") and len(numbers(copy)) == 2
    assert {path.name for path in (copy / "checkpoints").iterdir()} == {"2", "4"}
    for step in (2, 4):
        ours, theirs = (restore_params(run, step) for run in (copy, tmp_path / "disk"))
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize("name", ["thesis.pdf", "checkpoints/3/params", "a/checkpoints/3/params"])
def test_other_objects_are_let_be(store, name):
    Bucket(RUN).write(name, b"years")
    with pytest.raises(UserError, match=f"holds what no run brought there, such as {name}"):
        with folder_of_run(RUN):
            pytest.fail("a run begins")
    assert Bucket(RUN).sizes() == {name: 5}


def train(steps):
    """Stands for a run of so many steps."""
    with folder_of_run(RUN) as folder:
        before = (folder / "metrics.jsonl").read_text() if any(folder.glob("m*")) else ""
        (folder / "metrics.jsonl").write_text(before + "\n" * steps)
        return before


def unreachable(store):
    def meet(what, name):
        if what == "put" and not name.endswith(("lease.json", "bucket.json")):
            raise OSError("no route to the store")

    store.meet = staticmethod(meet)


def reachable(store):
    store.meet = staticmethod(lambda what, name: None)


def test_what_could_not_be_brought_there_is_gone_on_with_here(store, tmp_path, capsys):
    train(1)
    unreachable(store)
    with pytest.raises(UserError, match=r"cannot be reached \(no route.*; what is not there is in"):
        train(1)
    reachable(store)
    assert train(1) == "\n\n"
    assert "going on with what is here" in capsys.readouterr().err
    assert Bucket(RUN).read("metrics.jsonl") == b"\n\n\n"


def test_where_another_machine_went_on_that_counts(store, tmp_path, monkeypatch, capsys):
    train(1)
    unreachable(store)
    with pytest.raises(UserError):
        train(5)
    reachable(store)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
        assert train(1) == "\n"
    capsys.readouterr()
    assert train(1) == "\n\n"
    (left,) = (tmp_path / "cache").rglob("tiny.left-1")  # what the bucket never had
    assert (left / "metrics.jsonl").read_text() == "\n" * 6
    assert capsys.readouterr().err.count(str(left)) == 1


def test_the_copy_here_outlives_an_emptied_bucket(store, tmp_path):
    for _ in range(2):
        assert train(2) == ""
        for name in Bucket(RUN).sizes():
            Bucket(RUN).remove(name)
    assert train(1) == ""
    for number in (1, 2):
        (left,) = (tmp_path / "cache").rglob(f"tiny.left-{number}")
        assert (left / "metrics.jsonl").read_text() == "\n\n"


def test_of_a_start_that_was_cut_off_while_it_fetched_nothing_is_left(store, tmp_path, monkeypatch):
    with folder_of_run(RUN) as folder:
        (folder / "checkpoints" / "2").mkdir(parents=True)
        (folder / "checkpoints" / "2" / "params").write_text("x")
        (folder / "metrics.jsonl").write_text("\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))

    def meet(what, name):
        if what == "get" and name.endswith("metrics.jsonl"):
            raise OSError("no route to the store")

    store.meet = staticmethod(meet)
    monkeypatch.setattr(buckets, "_AT_ONCE", 1)
    with pytest.raises(UserError, match="no route"):
        train(1)
    assert list((tmp_path / "another machine").rglob("params"))
    reachable(store)
    assert train(1) == "\n"
    assert not list((tmp_path / "another machine").rglob("tiny.left*"))


def test_an_error_of_the_run_is_the_one_that_is_told(store, capsys):
    with pytest.raises(ValueError, match="of the run"), folder_of_run(RUN) as folder:
        (folder / "metrics.jsonl").write_text("so far")
        raise ValueError("of the run")
    assert Bucket(RUN).read("metrics.jsonl") == b"so far"
    unreachable(store)
    with pytest.raises(ValueError, match="of the run"), folder_of_run(RUN) as folder:
        (folder / "metrics.jsonl").write_text("farther")
        raise ValueError("of the run")
    assert "surgvista: gs://bucket/runs/tiny/metrics.jsonl: cannot be" in capsys.readouterr().err


def test_what_comes_is_brought_there_while_the_run_goes_on(store, monkeypatch, capsys):
    monkeypatch.setattr(bucket_run, "_LOOK", 0.02)
    with folder_of_run(RUN) as folder:
        unreachable(store)
        checkpoint = folder / "checkpoints" / "2"
        checkpoint.mkdir(parents=True)
        (checkpoint / "params").write_text("x")
        wait(lambda: "trying again" in capsys.readouterr().err)
        reachable(store)
        wait(lambda: "checkpoints/2/.surgvista_whole.json" in Bucket(RUN).sizes())


def test_a_run_whose_folder_was_taken_stops_and_leaves_the_bucket_alone(store, monkeypatch):
    stopped = []
    monkeypatch.setattr(bucket_run, "_stop", lambda: stopped.append(1))
    monkeypatch.setattr(bucket_run, "_LOOK", 0.02)
    with pytest.raises(UserError, match="another process has gone on there"):
        with folder_of_run(RUN) as folder:
            lease = {"id": "another", "at": time.time()}
            Bucket(RUN).write(LEASE, json.dumps(lease).encode())
            (folder / "metrics.jsonl").write_text("ours")
            (folder / "checkpoints" / "2").mkdir(parents=True)
            (folder / "checkpoints" / "2" / "params").write_text("ours")
            wait(lambda: stopped)
    assert stopped == [1] and not [n for n in Bucket(RUN).sizes() if not n.startswith(".")]


def wait(happened):
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_on_another_machine_is_told_that_a_bucket_is_for_one(store, monkeypatch):
    def other(path):
        raise UserError(f"{path}: process 1 does not see here what process 0 has")

    monkeypatch.setattr(bucket_run, "agree_on_file", other)
    with pytest.raises(UserError, match=f"{RUN}: a run in a bucket is one machine's"):
        with folder_of_run(Path(RUN)):
            raise AssertionError
    assert LEASE not in Bucket(RUN).sizes()


def test_an_address_without_a_bucket_is_refused(store):
    with pytest.raises(UserError, match="gs://: names no bucket: should be gs://BUCKET/FOLDER"):
        with folder_of_run(Path("gs://")):
            raise AssertionError
