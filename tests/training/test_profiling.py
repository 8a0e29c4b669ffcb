"""Are the steps that were asked for traced and told, and does a run live on without its trace?"""

import json

import jax
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.training import profiling
from surgvista_jax.training.loop import LoopConfig
from surgvista_jax.training.trace_summary import Summary
from surgvista_jax.writing import CannotWrite
from tests.support import finetune_run, tiny_run
from tests.support.toy_run import STEPS, metrics, train


def test_a_trace_of_so_many_steps_is_written_and_its_summary_said(tmp_path, capsys):
    train(tmp_path / "plain")
    assert not (tmp_path / "plain" / "profile").exists()
    train(tmp_path / "run", profile=4)
    (said, place) = [line for line in capsys.readouterr().err.splitlines() if "profile" in line]
    assert said.startswith("profile of 4 steps") and "host gaps" in said
    assert str(tmp_path / "run" / "profile") in place
    (summary,) = (tmp_path / "run" / "profile").rglob("summary.json")
    found = json.loads(summary.read_text())
    assert found["steps"] == 4 and found["first_step"] == 3
    assert all(0 <= share <= 1 for share in found["shares"].values())
    assert list(summary.parent.glob("*.xplane.pb"))
    assert metrics(tmp_path / "run", "loss") == metrics(tmp_path / "plain", "loss")
    assert metrics(tmp_path / "run", "seconds_profile")[-1]["seconds_profile"] > 0
    assert metrics(tmp_path / "plain", "seconds_profile")[-1]["seconds_profile"] == 0


def test_fewer_steps_than_asked_for_are_told_as_they_are(tmp_path, capsys):
    train(tmp_path, profile=100)
    assert f"profile of {STEPS - 2} steps" in capsys.readouterr().err
    train(tmp_path, profile=5)  # it is done
    assert "no profile: the run ends before" in capsys.readouterr().err


def test_a_file_of_the_users_own_in_its_place_stays(tmp_path, capsys):
    (tmp_path / "profile").write_text("theirs")
    assert train(tmp_path, profile=3).step == STEPS
    assert (tmp_path / "profile").read_text() == "theirs"
    assert "WARNING: no profile in" in capsys.readouterr().err


def test_a_trace_that_cannot_be_written_is_said_and_the_run_goes_on(tmp_path, capsys, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(jax.profiler, "start_trace", full)
    assert train(tmp_path, profile=3).step == STEPS
    assert "WARNING: no profile in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("write_json", CannotWrite("summary.json", "No space left on device")),
        ("summarise", ValueError("no trace")),
    ],
)
def test_a_summary_that_fails_is_said_and_the_run_goes_on(
    name, error, tmp_path, capsys, monkeypatch
):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(jax.profiler, "start_trace", lambda *args, **kwargs: None)
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: None)
    monkeypatch.setattr(profiling, "newest_trace", lambda folder: folder / "newest.xplane.pb")
    monkeypatch.setattr(profiling, "summarise", lambda trace: Summary(1.0, {}, []))
    monkeypatch.setattr(profiling, name, fail)
    assert train(tmp_path, profile=3).step == STEPS
    assert f"WARNING: no profile in {tmp_path / 'profile'}: {error}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_the_option_of_a_command_is_the_key_of_its_configuration(command, tmp_path, capsys):
    make = {"pretrain": tiny_run.make_config, "finetune": finetune_run.make_config}[command]
    config = make(tmp_path / "config.py", tmp_path / "data")
    words = [f"--config={config}", f"--workdir={tmp_path / 'run'}", "--profile=-1"]
    assert main([command, *words]) == 1
    assert "config.loop.profile=-1" in capsys.readouterr().err


def test_finetuning_without_steps_to_trace_says_so(tmp_path, capsys):
    config = finetune_run.make_config(tmp_path / "config.py", tmp_path / "data")
    words = ["finetune", f"--workdir={tmp_path / 'run'}", "--profile=3"]
    linear = ["--config.mode=linear", "--config.data.folder="]
    assert main([*words, f"--config={config}", *linear]) == 1  # for want of data
    warned, refused = capsys.readouterr().err.splitlines()
    assert warned.startswith("WARNING: --profile") and "mode=linear" in warned
    assert "config.data.folder" in refused
    assert main([*words, "--config=configs/finetune/mstcn.py"]) == 1
    (refused,) = capsys.readouterr().err.splitlines()
    assert "--profile: mode=temporal" in refused


def test_steps_are_a_whole_number():
    with pytest.raises(ValueError, match="profile"):
        LoopConfig(profile=-1)
