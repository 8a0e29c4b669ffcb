"""`--print-config`: what is printed is the run's configuration, and nothing is begun by it."""

import importlib
import json

import pytest

from surgvista_jax.__main__ import COMMANDS, main
from surgvista_jax.config import load_config
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.pretraining.config import PretrainConfig

PRETRAIN, FINETUNE = "configs/pretrain/cpu.py", "configs/finetune/synthetic.py:phase"
PROGRAMS = {
    ("demo",): None,
    ("pretrain",): PRETRAIN,
    ("finetune",): FINETUNE,
    ("bench", "pretrain"): PRETRAIN,
    ("bench", "finetune"): FINETUNE,
    ("bench", "predict"): FINETUNE,
    ("bench", "plan"): PRETRAIN,
    ("bench", "slide"): PRETRAIN,
}


def test_every_program_that_takes_a_configuration_prints_it():
    """A new program with `--config` has to stand in PROGRAMS."""
    found = set()
    for name, entry in COMMANDS.items():
        for words in [(name, child) for child in entry] if isinstance(entry, dict) else [(name,)]:
            module = importlib.import_module(f"surgvista_jax.commands.{'_'.join(words)}")
            if hasattr(module, "load_config"):
                found.add(words)
    assert found == set(PROGRAMS)


@pytest.mark.parametrize("words", PROGRAMS, ids=" ".join)
def test_what_is_printed_is_read_back_alike_and_nothing_is_made(
    words, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    spec = PROGRAMS[words]
    asked = [] if spec is None else [f"--config={spec}"]
    assert main([*words, *asked, "--config.seed=5", "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    file = tmp_path / "printed.json"
    file.write_text(printed)
    cls = FinetuneConfig if spec == FINETUNE else PretrainConfig
    kind = json.loads(printed)["kind"]
    read = load_config(str(file), cls, kinds=[kind]).to_dict()
    assert read["seed"] == 5
    assert read == load_config(spec or "configs/demo.py", cls, ["--config.seed=5"]).to_dict()


def test_a_wrong_value_is_refused_as_a_run_would(capsys):
    words = ["pretrain", f"--config={PRETRAIN}", "--print-config", "--config.clip.num_frames=0"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert not said.out and "config.clip.num_frames=0" in said.err


def test_a_temporal_configuration_tells_its_kind(capsys):
    assert main(["finetune", "--config=configs/finetune/mstcn.py", "--print-config"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "temporal"
