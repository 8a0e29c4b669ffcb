"""Runs of several seeds differ in their seed alone."""

import pytest

from surgvista_jax.config import load_config
from surgvista_jax.errors import UserError
from surgvista_jax.tasks import programs
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from tests.support.places import ROOT


def test_what_one_seed_does_to_its_configuration_reaches_no_other(tmp_path, monkeypatch):
    begun = []

    def one_seed(config, folder, **options):
        begun.append((folder.name, config.seed, config.seeds, config.clip.size))
        with config.unlocked():
            config.clip.size = 999
        return True

    monkeypatch.setattr(programs, "_FINETUNING", programs.Program(FinetuneConfig, one_seed))
    monkeypatch.setattr(programs, "report_seeds", lambda *given: "")
    words = ["--config.seed=5", "--config.seeds=2"]
    config = load_config(str(ROOT / "configs/finetune/synthetic.py"), FinetuneConfig, words)
    before = config.to_dict()
    assert programs.run(config, tmp_path / "runs")
    assert begun == [("seed5", 5, 1, 64), ("seed6", 6, 1, 64)]
    assert config.to_dict() == before


def test_features_of_a_linear_probe_are_kept_where_it_is_told(tmp_path, monkeypatch):
    kept = []

    def one_seed(config, workdir, features=None, **rest):
        kept.append(features)
        return True

    finetuning = programs.Program(FinetuneConfig, one_seed, shares=True)
    monkeypatch.setattr(programs, "_FINETUNING", finetuning)
    config = load_config("configs/finetune/synthetic.py", FinetuneConfig, ["--config.mode=linear"])
    assert programs.run(config, tmp_path / "one", features=tmp_path / "shared")
    assert programs.run(config, tmp_path / "two")
    assert kept == [tmp_path / "shared", None]
    full = load_config("configs/finetune/synthetic.py", FinetuneConfig)
    with pytest.raises(UserError, match="--probe-features=.*: mode=full keeps none"):
        programs.run(full, tmp_path / "three", features=tmp_path / "shared")
