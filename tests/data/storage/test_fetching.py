"""Datasets in buckets: the same batches, fetched once and whole, on a store that is none."""

import dataclasses
import shutil
import sys
import threading
from collections import namedtuple

import fsspec
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.data.dataset import fingerprint
from surgvista_jax.data.storage import fetching
from surgvista_jax.data.storage.manifest import read_dataset, write_dataset
from surgvista_jax.data.storage.mixture import read_folders
from surgvista_jax.data.storage.packing import pack
from surgvista_jax.errors import UserError
from tests.support.fake_bucket import stand_in, upload
from tests.support.masked_batches import assert_same, batches, make_dataset
from tests.support.places import ROOT
from tests.test_locking import holding

HERE = "gs://bucket/sets/noise"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A packed dataset of three shards without its frames."""
    folder = tmp_path_factory.mktemp("packed") / "noise"
    write_dataset(dataclasses.replace(make_dataset(folder), classes=("background",)))
    pack(read_dataset(folder), frames_per_shard=1, num_workers=1)
    shutil.rmtree(folder / "frames")
    return folder


@pytest.fixture
def gets(tmp_path, monkeypatch, packed):
    """The dataset in a bucket; the list of shards that are read from it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store, read = stand_in(tmp_path / "objects"), []
    upload(packed, HERE)

    def meet(what, name):
        if what == "get" and name.endswith(".array_record"):
            read.append(name)

    store.meet = staticmethod(meet)
    yield read
    store.meet = staticmethod(lambda what, name: None)


def objects(tmp_path, ending):
    return sorted(path for path in (tmp_path / "objects").iterdir() if path.name.endswith(ending))


def test_batches_are_those_of_the_folder_and_shards_are_fetched_once(gets, packed, capsys):
    here, there = read_dataset(packed), read_dataset(HERE)
    assert dataclasses.replace(there, folder=here.folder) == here
    assert fingerprint(there) == fingerprint(here)
    assert_same(batches(there), batches(here))
    assert len(gets) == len(set(gets)) == 3
    assert capsys.readouterr().err.startswith(f"{HERE}: fetching ")
    assert read_folders("noise", root="gs://bucket/sets").folder == there.folder
    assert len(gets) == 3 and capsys.readouterr().err == ""


def test_in_a_mixture_it_goes_by_its_name(gets, packed, tmp_path):
    other = shutil.copytree(packed, tmp_path / "other")
    mixed = read_folders(f"{HERE}, {other}")
    assert {video.video.split("/")[0] for video in mixed.videos} == {"noise", "other"}


def test_a_shard_that_is_not_what_was_packed_is_named_and_the_others_stay(gets, tmp_path):
    damaged = objects(tmp_path, "00001-of-00003.array_record")[0]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(UserError, match=f"^{HERE}/records/frames-00001-of-.*: is not what index"):
        read_dataset(HERE)
    kept = list((tmp_path / "cache").rglob("*.array_record"))
    assert all(path.name != "frames-00001-of-00003.array_record" for path in kept)
    damaged.write_bytes(whole)
    before = len(gets)
    assert len(read_dataset(HERE).videos) == 3
    assert len(gets) - before == 3 - len(kept)


def test_a_folder_that_was_packed_anew_is_fetched_anew(gets, packed, tmp_path):
    old = read_dataset(HERE)
    again = shutil.copytree(packed, tmp_path / "again" / "noise")
    write_dataset(dataclasses.replace(read_dataset(again), licence="another"))
    upload(again, HERE)
    new = read_dataset(HERE)
    assert new.licence == "another" and new.folder != old.folder
    assert read_dataset(old.folder).licence == old.licence


def test_one_process_fetches_and_the_others_wait_for_it(gets, tmp_path, monkeypatch):
    folder = read_dataset(HERE).folder
    shard = next(folder.glob("records/*.array_record"))
    data = shard.read_bytes()
    shard.unlink()
    found = []
    with holding(folder, then="sys.stdin.read()") as process:
        waiting = threading.Thread(target=lambda: found.append(read_dataset(HERE)))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive() and len(gets) == 3
        shard.write_bytes(data)  # the other process has fetched it
        process.kill()
        waiting.join(20)
    assert len(found) == 1 and len(gets) == 3


def test_what_does_not_fit_is_refused_before_it_is_fetched(gets, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: usage(0, 0, 100))
    with pytest.raises(UserError, match=r"MiB do not fit into .*; set XDG_CACHE_HOME"):
        read_dataset(HERE)
    assert gets == []


@pytest.mark.parametrize(
    "ending, words",
    [("index.json", "is not packed"), ("dataset.json", "no dataset folder")],
)
def test_what_is_missing_is_said(gets, tmp_path, ending, words):
    objects(tmp_path, ending)[0].unlink()
    with pytest.raises(UserError, match=f"^{HERE}: {words} "):
        read_dataset(f"{HERE}/")


def test_an_index_cannot_name_files_elsewhere(gets, tmp_path):
    index = objects(tmp_path, "index.json")[0]
    text = index.read_text().replace("frames-00000", "../frames-00000")
    index.write_text(text.replace('"crc32"', '"ignored"'))
    with pytest.raises(UserError, match="is no name of a shard"):
        read_dataset(HERE)


def test_a_store_that_refuses_is_one_line(gets):
    def refuse(what, name):
        raise PermissionError("Forbidden: your-account has no access\nmore lines")

    fsspec.get_filesystem_class("gs").meet = staticmethod(refuse)
    with pytest.raises(UserError) as error:
        read_dataset(HERE)
    assert str(error.value) == (
        f"{HERE}/dataset.json: cannot be reached (Forbidden: your-account has no access)"
    )


def test_what_reaches_a_store_may_not_be_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match=r'^s3://b/x: .* pip install -e "\.\[s3\]"$'):
        read_dataset("s3://b/x")
    with pytest.raises(UserError, match=r"^b2://b/x: "):
        read_dataset("b2://b/x")


@pytest.mark.parametrize("program", ["pretrain", "finetune"])
def test_the_command_line_takes_it(gets, tmp_path, program, monkeypatch, capsys):
    words = [f"--config={ROOT}/configs/{program}/own.py", f"--workdir={tmp_path / 'run'}"]
    assert main([program, *words, "--config.data.folder=gs://bucket/none"]) == 1
    assert capsys.readouterr().err.startswith("surgvista: gs://bucket/none: no dataset folder ")
    assert not (tmp_path / "run").exists()
