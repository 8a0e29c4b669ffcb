"""A tracked run is what the run's files hold: each step once, whatever ends or fails in between."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.errors import UserError
from surgvista_jax.ownership import in_folder
from surgvista_jax.training import tracking
from surgvista_jax.training.run_facts import sources_in
from surgvista_jax.training.trackers import TRACKERS, _absolute
from surgvista_jax.training.tracking import FILE, check_tracking, tracked
from surgvista_jax.training.writers import MetricWriter
from surgvista_jax.writing import append_line
from tests.support.fake_trackers import FakeMlflow, FakeWandb

CONFIG = {"kind": "finetuning", "seed": 7, "clip": {"size": 32}, "data": {"folder": "D" * 900}}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(tracking, "_EVERY", 0.002)
    for variable in ("WANDB_MODE", "WANDB_API_KEY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def wandb(monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


@pytest.fixture
def mlflow(monkeypatch):
    fake = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    return fake


@pytest.fixture(params=["wandb", "mlflow"])
def tracker(request):
    return request.param, request.getfixturevalue(request.param)


def points(fake, name=None):
    """(step, value) of a value in the tracked run, or of all of them by name."""
    if isinstance(fake, FakeWandb):
        (starts,) = fake.runs.values()
        rows = starts[-1]["rows"]
        found = [
            (key, row.get("step", row.get("evaluated_step")), value)
            for row in rows
            for key, value in row.items()
            if key not in ("step", "evaluated_step")
        ]
    else:
        (run,) = fake.runs()
        found = [(point.key, point.step, point.value) for point in run.data.points]
    return found if name is None else [point[1:] for point in found if point[0] == name]


def begun(folder):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def train(folder, name, steps, start=0, at=None, score=""):
    """One start of a run: a line of metrics a step; at: step -> what happens before its line."""
    with tracked(folder, name, in_folder(folder), score) as run:
        with MetricWriter(folder, active=True, step=start) as writer:
            for step in range(start + 1, steps + 1):
                (at or {}).get(step, lambda: None)()
                writer.scalars(step, {"loss": step / 2, "nothing": None})
        run.ended = steps == 6


def test_the_tracked_run_is_what_the_files_hold(tmp_path, tracker):
    name, fake = tracker
    folder = begun(tmp_path / "run")
    append_line(folder / "evaluations.jsonl", {"step": 2, "score": 0.25})
    append_line(folder / "evaluations.jsonl", {"step": 4, "score": None})
    train(folder, name, 6, score="accuracy")
    assert points(fake, "loss") == [(step, step / 2) for step in range(1, 7)]
    assert points(fake, "selection_accuracy") == [(2, 0.25)]
    assert {point[0] for point in points(fake)} == {"loss", "selection_accuracy"}


@pytest.mark.parametrize("died_after", [3, 5])
def test_a_run_that_goes_on_is_tracked_without_gap_or_double(tmp_path, tracker, died_after):
    name, fake = tracker
    folder = begun(tmp_path / "run")
    with pytest.raises(ZeroDivisionError):
        train(folder, name, 6, at={died_after + 1: lambda: 1 / 0})
    train(folder, name, 4, start=3)  # from the checkpoint of step 3, and told to stop
    train(folder, name, 6, start=4)
    assert points(fake, "loss") == [(step, step / 2) for step in range(1, 7)]


def test_what_was_never_tracked_is_handed_in_at_the_next_start(tmp_path, tracker):
    name, fake = tracker
    folder = begun(tmp_path / "run")
    train(folder, "tensorboard", 4)
    assert not (folder / FILE).exists()
    train(folder, name, 6, start=4)
    assert points(fake, "loss") == [(step, step / 2) for step in range(1, 7)]


def test_a_tracker_that_fails_ends_no_run_and_is_said_once(tmp_path, tracker, capsys):
    name, fake = tracker
    folder = begun(tmp_path / "run")
    fake.broken = ConnectionError("the network is down\nand more")
    train(folder, name, 6)
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 6
    said = capsys.readouterr().err
    assert said.count("WARNING: ") == 1 and said.count("\n") == 1
    assert f"config.tracking={name}: the network is down: no more is tracked; the run" in said
    fake.broken = None
    train(folder, name, 6, start=6)  # has come to its end: nothing is trained
    assert points(fake, "loss") == [(step, step / 2) for step in range(1, 7)]


def test_a_tracker_that_does_not_answer_is_not_waited_for(tmp_path, mlflow, capsys, monkeypatch):
    monkeypatch.setattr(tracking, "_PATIENCE", 0.01)
    folder, slow = begun(tmp_path / "run"), tracking.threading.Event()
    monkeypatch.setattr(tracking._Follower, "_hand_on", lambda self: slow.wait(10))
    train(folder, "mlflow", 6)
    assert "does not answer" in capsys.readouterr().err
    slow.set()


def test_without_network_each_start_writes_the_whole_run(tmp_path, wandb):
    wandb.mode = "offline"
    folder = begun(tmp_path / "run")
    with pytest.raises(ZeroDivisionError):
        train(folder, "wandb", 6, at={6: lambda: 1 / 0})
    train(folder, "wandb", 6, start=4)
    assert points(wandb, "loss") == [(step, step / 2) for step in range(1, 7)]
    assert [call["resume"] for call in wandb.calls] == [None, None]
    assert len({call["id"] for call in wandb.calls}) == 1


def test_configuration_versions_sources_and_hardware_go_along(tmp_path, wandb, mlflow):
    for name in ("wandb", "mlflow"):
        train(begun(tmp_path / name), name, 6)
    (((start,),),) = [wandb.runs.values()]
    (run,) = mlflow.runs()
    for config, about in ((start["config"], start["config"]), (run.data.params, run.data.tags)):
        assert str(config["seed"]) == "7" and str(config["clip.size"]) == "32"
        assert {"versions.jax", "versions.surgvista_jax", "hardware.devices"} <= about.keys()
        assert about["hardware.devices"].startswith("8 x ")
    # Neither what is printed nor changes of the sources are sent, and the rest stays with the run.
    (call,) = wandb.calls
    assert call["settings"] == {"console": "off", "disable_code": True, "disable_git": True}
    assert call["dir"] == str(tmp_path / "wandb") and call["project"] == "surgvista"


def test_a_store_that_no_variable_tells_is_found_again_from_another_folder(
    tmp_path, mlflow, monkeypatch
):
    folder = begun(tmp_path / "run")
    train(folder, "mlflow", 4)
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "sqlite:///elsewhere.db")
    config = json.loads((folder / "config.json").read_text()) | {"seed": 8}  # made longer, say
    (folder / "config.json").write_text(json.dumps(config))
    train(folder, "mlflow", 6, start=4)
    assert points(mlflow, "loss") == [(step, step / 2) for step in range(1, 7)]
    (run,) = mlflow.runs()
    assert run.data.params["seed"] == "7" and run.data.tags["now.seed"] == "8"
    # One that a variable tells may hold a password, and another store begins another run.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@host")
    train(folder, "mlflow", 6, start=6)
    assert len(mlflow.stores["https://me:secret@host"]["runs"]) == 1
    assert "secret" not in (folder / FILE).read_text()


def test_a_place_that_depends_on_the_current_folder_is_noted_without_it(
    tmp_path, mlflow, monkeypatch
):
    folder, other = begun(tmp_path / "run"), tmp_path / "other"
    other.mkdir()
    client = mlflow.MlflowClient

    def here(tracking_uri):
        return client(f"sqlite:///{Path(tracking_uri.removeprefix('sqlite:///')).absolute()}")

    monkeypatch.setattr(mlflow, "MlflowClient", here, raising=False)
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "sqlite:///mlflow.db")
    monkeypatch.chdir(tmp_path)
    train(folder, "mlflow", 4)
    monkeypatch.chdir(other)
    train(folder, "mlflow", 6, start=4)
    assert list(mlflow.stores) == [f"sqlite:///{tmp_path}/mlflow.db"]
    assert points(mlflow, "loss") == [(step, step / 2) for step in range(1, 7)]


def test_places_of_stores_as_they_are_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = ("https://host/a", "file:///a/b", "sqlite:////a/b.db", "sqlite:///:memory:", "/a/b")
    assert [_absolute(place) for place in whole] == list(whole)
    assert _absolute("mlruns") == f"{tmp_path}/mlruns"
    assert _absolute("file:./mlruns") == f"file://{tmp_path}/mlruns"


def test_a_copy_of_a_run_is_tracked_as_a_run_of_its_own(tmp_path, tracker, capsys):
    name, fake = tracker
    folder, copy = begun(tmp_path / "run"), tmp_path / "copy"
    train(folder, name, 4)
    shutil.copytree(folder, copy)
    before = points(fake, "loss")
    assert capsys.readouterr().err == ""
    train(copy, name, 6, start=4)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"is of {folder}: config.tracking={name} begins" in said
    train(copy, name, 6, start=6)
    train(folder, name, 4, start=4)
    assert capsys.readouterr().err == ""
    first, second = fake.runs.values() if name == "wandb" else fake.runs()
    alone = type(fake)()
    for run, steps in ((first, 4), (second, 6)):
        if name == "wandb":
            alone.runs = {"id": run}
        else:
            alone.stores = {"": {"runs": {"id": run}}}
        assert points(alone, "loss") == [(step, step / 2) for step in range(1, steps + 1)]
    assert len(before) == 4


def test_values_that_are_not_finite_are_left_out(tmp_path, tracker):
    name, fake = tracker
    folder = begun(tmp_path / "run")
    for step, value in enumerate((0.5, float("nan"), float("inf"), 0.25), 1):
        append_line(folder / "metrics.jsonl", {"step": step, "loss": value, "rate": 1.0})
    train(folder, name, 4, start=4)
    assert points(fake, "loss") == [(1, 0.5), (4, 0.25)]
    assert len(points(fake, "rate")) == 4


def test_how_a_run_ended_is_told(tmp_path, wandb, mlflow):
    def ends(name):
        folder = begun(tmp_path / name)
        with pytest.raises(ZeroDivisionError):
            train(folder, name, 6, at={2: lambda: 1 / 0})
        yield end(name)
        train(folder, name, 4, start=1)
        yield end(name)
        train(folder, name, 6, start=4)
        yield end(name)

    def end(name):
        if name == "wandb":
            ((start,),) = wandb.runs.values()
            return start["end"]
        (run,) = mlflow.runs()
        return run.info.status

    assert list(ends("wandb")) == [1, 0, 0]
    assert list(ends("mlflow")) == ["FAILED", "KILLED", "FINISHED"]


def test_only_the_first_process_tracks(tmp_path, tracker, monkeypatch):
    name, fake = tracker
    monkeypatch.setattr("jax.process_index", lambda: 1)
    check_tracking(name)
    train(begun(tmp_path / "run"), name, 6)
    assert not fake.calls and not (tmp_path / "run" / FILE).exists()


COMMANDS = {
    "pretrain": ["pretrain", "--config=configs/pretrain/cpu.py"],
    "finetune": ["finetune", "--config=configs/finetune/small.py", "--config.init=no-such-file"],
    "mstcn": ["finetune", "--config=configs/finetune/mstcn.py"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_tracker_that_cannot_begin_is_one_line_before_anything_is_loaded(
    command, tmp_path, wandb, monkeypatch, capsys
):
    def said(name):
        words = [*COMMANDS[command], f"--workdir={tmp_path / 'run'}", f"--config.tracking={name}"]
        assert main([*words, "--config.data.folder=no-such-folder"]) == 1
        assert not list(tmp_path.glob("run/[!.]*"))
        return capsys.readouterr().err

    wandb.key = False
    assert "config.tracking=wandb: cannot begin (api_key not configured" in said("wandb")
    # A folder that W&B made where a command is typed is no package of W&B's.
    monkeypatch.setitem(sys.modules, "wandb", type(sys)("wandb"))
    missing = "config.tracking={0}: the package is missing: pip install {0}, or"
    assert missing.format("wandb") in said("wandb")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert "pip install mlflow, or leave config.tracking=tensor" in said("mlflow")
    assert f"config.tracking='x': should be one of {', '.join(TRACKERS)}" in said("x")


def test_a_tracker_that_fails_to_begin_writes_nothing(tmp_path, wandb, monkeypatch):
    def fail(**values):
        raise TimeoutError("no answer in 90 s")

    monkeypatch.setattr(wandb, "init", fail, raising=False)
    with pytest.raises(UserError, match=r"config.tracking=wandb: cannot begin \(no answer in 90"):
        train(begun(tmp_path / "run"), "wandb", 6)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]


def test_the_state_of_the_sources_is_that_of_their_own_tree(tmp_path):
    def git(*words):
        names = ("-c", "user.name=x", "-c", "user.email=x@y")
        subprocess.run(["git", "-C", str(tmp_path), *names, *words], check=True)

    (tmp_path / "inside").mkdir()
    assert sources_in(tmp_path) is None
    git("init", "-q")
    assert sources_in(tmp_path) is None  # no commit
    git("commit", "-q", "--allow-empty", "-m", "first")
    clean = sources_in(tmp_path)
    assert len(clean.commit) == 40 and not clean.dirty
    (tmp_path / "inside" / "new.py").touch()
    assert sources_in(tmp_path) == (clean.commit, True)
    assert sources_in(tmp_path / "inside") is None  # somebody else's tree


def test_a_file_that_was_replaced_by_a_shorter_one_is_read_from_its_beginning(tmp_path):
    path = tmp_path / "metrics.jsonl"
    tail = tracking._Tail(path)
    assert list(tail.new()) == []
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": ')
    assert list(tail.new()) == [{"step": 1}, {"step": 2}]  # the last is being written
    (tmp_path / "shorter").write_text('{"step": 1}\n')
    (tmp_path / "shorter").replace(path)
    assert list(tail.new()) == [{"step": 1}]
    append_line(path, {"step": 2})
    assert list(tail.new()) == [{"step": 2}]
