"""Is XLA asked to compute in one order, before it starts, and never against what the user says?"""

import os

import jax
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import load_config
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.free_keys import PRETRAINING
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import KIND
from surgvista_jax.training import determinism
from surgvista_jax.training.determinism import make_deterministic
from surgvista_jax.training.rundir import claim
from surgvista_jax.writing import write_json
from tests.support import tiny_run

FLAG = "--xla_gpu_deterministic_ops=true"
SAID = "--config.compute.deterministic=true"


@pytest.fixture
def flags(monkeypatch):
    """Sets XLA_FLAGS and forgets that this process has started its devices; what they are then."""
    monkeypatch.setattr(determinism, "_have_started", lambda: False)

    def after(given, asked=True):
        monkeypatch.setenv("XLA_FLAGS", given)
        make_deterministic(asked)
        return os.environ["XLA_FLAGS"]

    return after


def test_the_flag_is_set_where_it_is_asked_for_and_beside_others(flags):
    assert flags("", asked=False) == ""
    assert flags("") == FLAG
    assert flags("--xla_gpu_autotune_level=2") == f"--xla_gpu_autotune_level=2 {FLAG}"


@pytest.mark.parametrize("own", [FLAG, "--xla_gpu_deterministic_ops", f"--a=b {FLAG}"])
def test_a_flag_of_the_user_stays_as_it_is(own, flags, capsys):
    assert flags(own) == own and not capsys.readouterr().err


def test_a_flag_that_says_the_opposite_stays_and_is_said(flags, capsys):
    own = f"{FLAG} --xla_gpu_deterministic_ops=false"
    assert flags(own) == own
    (line,) = capsys.readouterr().err.splitlines()
    assert "compute.deterministic" in line and "--xla_gpu_deterministic_ops=false" in line


def test_a_file_of_flags_is_read_and_never_written(flags, tmp_path):
    file = tmp_path / "flags"
    file.write_text(f"--xla_gpu_autotune_level=2\n{FLAG}\n")
    assert flags(str(file)) == str(file)
    file.write_text("--xla_gpu_autotune_level=2\n")
    with pytest.raises(UserError, match=f"write {FLAG} into {file}"):
        flags(str(file))


def test_devices_that_have_started_without_it_are_refused_if_they_are_gpus(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert jax.devices() and determinism._have_started()
    make_deterministic(True)  # a processor computes in one order anyhow
    assert "XLA_FLAGS" not in os.environ
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(UserError, match="compute.deterministic=true: comes too late"):
        make_deterministic(True)


@pytest.mark.parametrize("command", ["pretrain", "finetune", "finetune temporal", "bench pretrain"])
def test_every_program_takes_the_key_and_sets_the_flag_before_devices_start(
    command, tmp_path, flags, monkeypatch
):
    seen = []

    def devices():
        seen.append(os.environ["XLA_FLAGS"])
        raise RuntimeError("no device")

    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(jax, "devices", devices)
    config = {
        "finetune": "configs/finetune/cholec80.py",
        "finetune temporal": "configs/finetune/mstcn.py",
    }.get(command) or tiny_run.make_config(tmp_path / "config.py", tmp_path / "data")
    words = command.removesuffix(" temporal").split()
    folder = [] if "bench" in command else [f"--workdir={tmp_path / 'run'}"]
    assert main([*words, f"--config={config}", *folder, SAID]) == 1
    assert seen == [FLAG]


def test_a_run_goes_on_with_the_key_changed_and_one_of_an_earlier_version_lacks_it(tmp_path):
    config = tiny_run.make_config(tmp_path / "config.py", tmp_path / "data")
    values = load_config(str(config), PretrainConfig)
    begun = values.to_dict()
    assert begun["compute"].pop("deterministic") is False
    write_json(tmp_path / "run" / "config.json", {"kind": KIND, **begun})
    (tmp_path / "run" / "metrics.jsonl").write_text("{}\n")
    asked = load_config(str(config), PretrainConfig, [SAID])
    claim(tmp_path / "run", asked, PretrainConfig, KIND, PRETRAINING)
    asked = load_config(str(config), PretrainConfig, ["--config.compute.dtype=bfloat16"])
    with pytest.raises(UserError, match="compute.dtype was 'float32', is 'bfloat16'"):
        claim(tmp_path / "run", asked, PretrainConfig, KIND, PRETRAINING)
