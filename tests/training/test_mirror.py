"""A run's folder in a bucket: whole whenever an upload is killed, and one process's alone."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from surgvista_jax import buckets
from surgvista_jax.buckets import Bucket
from surgvista_jax.errors import UserError
from surgvista_jax.training import lease as leases
from surgvista_jax.training import mirror as mirrors
from surgvista_jax.training.lease import NAME, Lease
from surgvista_jax.training.mirror import Mirror
from tests.support.fake_bucket import stand_in

HERE = "gs://bucket/run"


class Killed(BaseException):
    """What ends an upload at any object, as a kill does."""


@pytest.fixture
def store(tmp_path):
    return stand_in(tmp_path / "objects")


@pytest.fixture
def one_at_a_time(monkeypatch):
    """Uploads in a fixed order, so that each can be the last."""
    monkeypatch.setattr(buckets, "_AT_ONCE", 1)


def add_checkpoint(folder, step):
    place = folder / "checkpoints" / str(step)
    for name in ("params/d/0", "meta/metadata"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{name} of {step}")


def train_to(folder, step):
    """What a run writes for two steps, one after the other; two checkpoints are kept."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    best = folder / "best"
    add_checkpoint(best, step)
    shutil.rmtree(best / "checkpoints" / str(step - 2), ignore_errors=True)
    for name in ("evaluations.jsonl", "metrics.jsonl"):
        with open(folder / name, "a") as file:
            file.write(json.dumps({"step": step}) + "\n")
    for name in ("evaluations.jsonl", "metrics.jsonl"):  # noted before it is there
        with open(folder / ".surgvista_written.jsonl", "a") as file:
            file.write(f"{name} of {step}\n")
    (folder / f"report_{step}.md").write_text("")
    add_checkpoint(folder, step)
    shutil.rmtree(folder / "checkpoints" / str(step - 4), ignore_errors=True)


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != mirrors.NAMES
    }


def fetched(folder):
    """What a start on another machine finds."""
    mirror = Mirror(Bucket(HERE), folder)
    folder.mkdir()
    mirror.fetch(mirror.look())
    return content(folder)


def test_what_is_fetched_is_what_was_there_and_what_has_gone_is_gone(store, tmp_path):
    folder = tmp_path / "run"
    train_to(folder, 2)
    mirror = Mirror(Bucket(HERE), folder)
    mirror.push()
    assert fetched(tmp_path / "first") == content(folder)
    train_to(folder, 4)
    train_to(folder, 6)
    (folder / "report_2.md").unlink()
    assert mirror.new_checkpoints()
    mirror.push()
    assert not mirror.new_checkpoints()
    assert fetched(tmp_path / "second") == content(folder)
    mirror.push()  # nothing is to be done
    assert not list((tmp_path / "second" / "checkpoints").glob("2"))


def test_an_unchanged_file_is_not_brought_again(store, tmp_path):
    folder, puts = tmp_path / "run", []
    train_to(folder, 2)
    mirror = Mirror(Bucket(HERE), folder)
    mirror.push()
    store.meet = staticmethod(lambda what, name: puts.append((what, name)))
    mirror.push()
    assert puts == []
    (folder / "metrics.jsonl").write_text("another")
    mirror.push()
    assert puts == [("put", "bucket/run/metrics.jsonl")]


def test_locks_and_what_is_half_written_stay_here(store, tmp_path):
    folder = tmp_path / "run"
    train_to(folder, 2)
    for name in (
        ".surgvista.lock",
        ".partial-abcdefgh/metrics.jsonl",
        "checkpoints/4.orbax-checkpoint-tmp/params/d/0",
        "checkpoints/0.damaged/params/d/0",
        "seed0/.surgvista.lock",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("half")
    Mirror(Bucket(HERE), folder).push()
    assert "half" not in fetched(tmp_path / "other").values()


def test_whenever_an_upload_is_killed_a_run_goes_on(store, tmp_path, one_at_a_time):
    folder, before = tmp_path / "run", tmp_path / "before"
    train_to(folder, 2)
    Mirror(Bucket(HERE), folder).push()
    shutil.copytree(store.root, before)
    train_to(folder, 4)
    train_to(folder, 6)
    last, kills = 2, 0
    while True:
        shutil.rmtree(store.root)
        shutil.copytree(before, store.root)
        left = kills

        def meet(what, name):
            nonlocal left
            if what != "get":
                if not left:
                    raise Killed
                left -= 1

        mirror = Mirror(Bucket(HERE), folder)
        mirror.look()
        store.meet = staticmethod(meet)
        try:
            mirror.push()
            killed = False
        except Killed:
            killed = True
        store.meet = staticmethod(lambda what, name: None)
        found = fetched(tmp_path / f"killed at {kills}")
        steps = {
            top: {int(step) for step in re.findall(rf"^{top}checkpoints/(\d+)/", text, re.M)}
            for text in ["\n".join(found)]
            for top in ("", "best/")
        }
        assert max(steps[""]) >= last  # what is there does not get less
        last = max(steps[""])
        for top, there in steps.items():
            for step in there:
                assert found[f"{top}checkpoints/{step}/params/d/0"] == f"params/d/0 of {step}"
                assert found[f"{top}checkpoints/{step}/meta/metadata"]
        for name in ("metrics.jsonl", "evaluations.jsonl"):
            lines = [json.loads(line)["step"] for line in found[name].splitlines()]
            assert lines == list(range(2, lines[-1] + 1, 2)) and lines[-1] >= last
            for step in lines:
                assert f"{name} of {step}\n" in found[".surgvista_written.jsonl"]
        evaluated = json.loads(found["evaluations.jsonl"].splitlines()[-1])["step"]
        assert evaluated in steps["best/"]
        if not killed:
            break
        kills += 1
    assert kills > 12 and last == 6
    assert found == content(folder)


def test_a_checkpoint_that_lacks_an_object_is_none(store, tmp_path):
    folder = tmp_path / "run"
    train_to(folder, 2)
    train_to(folder, 4)
    Mirror(Bucket(HERE), folder).push()
    Bucket(HERE).remove("checkpoints/4/meta/metadata")
    found = fetched(tmp_path / "other")
    assert {name.split("/")[1] for name in found if name.startswith("checkpoints/")} == {"2"}
    assert not [name for name in Bucket(HERE).sizes() if name.startswith("checkpoints/4")]


def test_a_checkpoint_that_goes_while_it_is_uploaded_is_left_out(store, tmp_path):
    folder = tmp_path / "run"
    train_to(folder, 2)

    def meet(what, name):
        if what == "put" and "/checkpoints/2/" in name:
            shutil.rmtree(folder / "checkpoints" / "2", ignore_errors=True)

    store.meet = staticmethod(meet)
    Mirror(Bucket(HERE), folder).push()
    assert not [name for name in Bucket(HERE).sizes() if name.startswith("checkpoints/2")]


def test_a_checkpoint_that_changes_while_it_is_uploaded_is_put_again(store, tmp_path):
    folder, changes = tmp_path / "run", [1]
    train_to(folder, 2)

    def meet(what, name):
        if what == "put" and "/run/checkpoints/2/" in name and changes:
            changes.pop()
            (folder / "checkpoints/2/params/d/0").write_text("more than there was")

    store.meet = staticmethod(meet)
    mirror = Mirror(Bucket(HERE), folder)
    mirror.push()
    assert mirror.new_checkpoints()
    mirror.push()
    assert not mirror.new_checkpoints()
    assert fetched(tmp_path / "other") == content(folder)


@pytest.fixture
def lively(monkeypatch):
    """Holders that are heard of soon."""
    monkeypatch.setattr(leases, "RENEWED", 0.05)
    monkeypatch.setattr(leases, "_LOOK", 0.02)


def test_a_second_process_is_told_who_has_the_folder(store, lively):
    with Lease(Bucket(HERE), pytest.fail):
        said = rf"^{HERE}: another process is at work here \(host .*, pid {os.getpid()}, since"
        with pytest.raises(UserError, match=said), Lease(Bucket(HERE), pytest.fail):
            pytest.fail("two are at work")
    with Lease(Bucket(HERE), pytest.fail):
        assert NAME in Bucket(HERE).sizes()
    assert Bucket(HERE).sizes() == {}


def test_so_it_is_where_a_store_heeds_no_conditions(store, monkeypatch, lively):
    """The emulators of stores do not all: of two who begin at once, the last one has it."""
    whole = store.pipe_file
    monkeypatch.setattr(store, "pipe_file", lambda s, p, v, mode="": whole(s, p, v))
    with Lease(Bucket(HERE), pytest.fail):
        with pytest.raises(UserError, match="another process"), Lease(Bucket(HERE), pytest.fail):
            pytest.fail("two are at work")
    with monkeypatch.context() as at_once:
        read = leases._read

        def late(bucket):
            bucket.write(NAME, json.dumps({"id": "another", "at": time.time()}).encode())
            return read(bucket)

        at_once.setattr(leases, "_read", late)
        with pytest.raises(UserError, match="another process"), Lease(Bucket(HERE), pytest.fail):
            pytest.fail("two are at work")


def held(**other):
    about = {**Lease(Bucket(HERE), pytest.fail)._about, "id": "another", "at": time.time()}
    return about | other


def put_lease(**other):
    Bucket(HERE).write(NAME, json.dumps(held(host="elsewhere", **other)).encode())


def test_a_process_of_another_machine_is_gone_when_it_is_not_heard_of(store, capsys):
    put_lease(at=time.time() - leases.STALE - 1)
    with Lease(Bucket(HERE), pytest.fail):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("ahead", [0.0, 3600.0])
def test_one_that_was_killed_elsewhere_is_waited_for(store, monkeypatch, capsys, ahead):
    """Whatever its clock said."""
    monkeypatch.setattr(leases, "_LOOK", 0.02)
    monkeypatch.setattr(leases, "STALE", 0.5)
    put_lease(at=time.time() + ahead)
    begun = time.monotonic()
    with Lease(Bucket(HERE), pytest.fail) as lease:
        assert lease.check()
    assert 0.4 < time.monotonic() - begun < 5
    assert capsys.readouterr().err.count(f"{HERE}: another process was at work here (host") == 1


@pytest.mark.parametrize("end", [True, False])
def test_one_that_lives_elsewhere_is_heard_of_meanwhile(store, monkeypatch, end):
    """Also where this process slept for longer than it would have waited."""
    put_lease()

    def sleep(seconds):
        if end:
            Bucket(HERE).remove(NAME)
        else:
            put_lease(at=time.time() + 1)
            monkeypatch.setattr(leases, "STALE", -60.0)

    monkeypatch.setattr(leases.time, "sleep", sleep)
    if end:
        with Lease(Bucket(HERE), pytest.fail) as lease:
            assert lease.check()
        return
    with pytest.raises(UserError, match="host elsewhere"), Lease(Bucket(HERE), pytest.fail):
        pytest.fail("two are at work")
    assert b"elsewhere" in Bucket(HERE).read(NAME)


def test_of_two_that_find_a_stale_lease_the_second_leaves_it_to_the_first(store, monkeypatch):
    put_lease(at=time.time() - leases.STALE - 1)
    read = leases._read

    def overtaken(bucket):
        found = read(bucket)
        if found.get("id") == "another":
            put_lease(id="first", at=time.time())
        return found

    monkeypatch.setattr(leases, "_read", overtaken)
    with pytest.raises(UserError, match="host elsewhere"), Lease(Bucket(HERE), pytest.fail):
        pytest.fail("two are at work")
    assert json.loads(Bucket(HERE).read(NAME))["id"] == "first"


def test_a_process_of_this_machine_that_was_killed_is_seen_at_once(store):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    Bucket(HERE).write(NAME, json.dumps(held(pid=process.pid)).encode())
    with Lease(Bucket(HERE), pytest.fail):
        pass


@pytest.mark.parametrize("text", [b"", b"[]", b'{"at": "x"}', b"\xff"])
def test_a_lease_that_says_nothing_holds_nobody_up(store, text):
    Bucket(HERE).write(NAME, text)
    with Lease(Bucket(HERE), pytest.fail):
        pass


def test_who_has_lost_the_folder_is_told_once_and_leaves_it(store, monkeypatch):
    monkeypatch.setattr(leases, "RENEWED", 0.05)
    told = []
    with Lease(Bucket(HERE), lambda: told.append(1)) as lease:
        assert lease.check()
        Bucket(HERE).write(NAME, json.dumps({"id": "another", "at": time.time()}).encode())
        deadline = time.monotonic() + 10
        while not told and time.monotonic() < deadline:
            time.sleep(0.02)
        assert lease.is_lost and not lease.check()
    assert told == [1]
    assert b"another" in Bucket(HERE).read(NAME)


def test_a_store_that_is_away_for_a_while_loses_nobody_the_folder(store):
    with Lease(Bucket(HERE), pytest.fail) as lease:
        store.meet = staticmethod(lambda what, name: (_ for _ in ()).throw(OSError("away")))
        assert lease.check()
        store.meet = staticmethod(lambda what, name: None)


def test_names_that_lead_out_of_the_folder_are_refused(store, tmp_path):
    Bucket(HERE).write("../outside", b"x")
    with pytest.raises(UserError, match=re.escape("is no name of a file")):
        fetched(tmp_path / "run")


def test_absolute_names_are_refused_before_anything_is_fetched(store, tmp_path):
    folder, outside = tmp_path / "run", tmp_path / "outside"
    folder.mkdir()
    Bucket(HERE).write("config.json", b"{}")
    Bucket(HERE).write(str(outside), b"x")  # .../run//tmp/...
    with pytest.raises(UserError, match=re.escape("is no name of a file")):
        Mirror(Bucket(HERE), folder).fetch({"config.json": 2, str(outside): 1})
    assert not outside.exists() and not list(folder.iterdir())


def test_what_others_put_beside_a_run_is_let_be(store, tmp_path):
    folder = tmp_path / "run"
    train_to(folder, 2)
    Mirror(Bucket(HERE), folder).push()
    theirs = {"notes.txt", "checkpoints/2/notes.txt"}
    for name in theirs:
        Bucket(HERE).write(name, b"of others")
    (folder / "report_2.md").unlink()  # while no mirror sees it
    train_to(folder, 4)
    train_to(folder, 6)
    mirror = Mirror(Bucket(HERE), folder)
    mirror.look()
    mirror.push()
    there = Bucket(HERE).sizes().keys()
    assert theirs <= there and "report_2.md" not in there
    assert {n for n in there if n.startswith("checkpoints/2/")} == {"checkpoints/2/notes.txt"}


def test_an_object_more_in_a_checkpoint_harms_nothing(store, tmp_path):
    folder = tmp_path / "run"
    train_to(folder, 2)
    Mirror(Bucket(HERE), folder).push()
    Bucket(HERE).write("checkpoints/2/notes.txt", b"of others")
    assert fetched(tmp_path / "other") == content(folder)
    assert "checkpoints/2/notes.txt" in Bucket(HERE).sizes()
