"""Folders of ours: what an import writes and what a run leaves can be started from alike."""

import dataclasses
import json

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints, save_params
from surgvista_jax.weights import folder, tables
from surgvista_jax.weights.files.write import flat
from surgvista_jax.weights.for_pretraining import load_student
from surgvista_jax.weights.kinds import StudentConfig
from surgvista_jax.weights.loading import load, load_backbone
from tests.support.weight_files import HEADS, random_arrays, tiny_config, write

STUDENT = tables.find("surgvista")
CONFIG = tiny_config(STUDENT)


def _imported(tmp_path, name: str = "surgvista"):
    table = tables.find(name)
    write(tmp_path / "x.npz", random_arrays(table.entries(tiny_config(table))))
    return load(f"{name}:{tmp_path / 'x.npz'}", heads=HEADS)


def _run(loaded, workdir) -> None:
    """The folder that a pretraining run leaves."""
    workdir.mkdir()
    model = dataclasses.asdict(loaded.config.model)
    (workdir / "config.json").write_text(json.dumps({"model": model, "mask": {}}))
    with Checkpoints(workdir, CheckpointConfig(save_every=1)) as checkpoints:
        checkpoints.save(3, loaded.params, {"count": np.zeros(())}, {})


@pytest.mark.parametrize("inside", ["", "checkpoints", "checkpoints/3"])
def test_a_pretraining_run_is_a_student_and_a_backbone(inside, tmp_path):
    loaded = _imported(tmp_path)
    _run(loaded, tmp_path / "run")
    again = load_student(tmp_path / "run" / inside, CONFIG.model)
    assert isinstance(again.config, StudentConfig) and again.config.feature_width == 24
    ours, theirs = flat(loaded.params), flat(again.params)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)
    backbone, variables, source = load_backbone(tmp_path / "run" / inside)
    assert backbone.encoder == loaded.config.encoder
    assert variables["params"].keys() == loaded.params["encoder"].keys()
    assert source.digest[:16] in source.summary()


def test_the_digest_of_a_folder_tells_its_numbers(tmp_path):
    loaded = _imported(tmp_path)
    _run(loaded, tmp_path / "one")
    loaded.params["encoder"]["norm"]["bias"][0] += 1.0
    _run(loaded, tmp_path / "two")
    digests = [load(tmp_path / name).digest for name in ("one", "two", "one")]
    assert digests[0] == digests[2] != digests[1]


def test_another_model_than_the_runs_is_told(tmp_path):
    _run(_imported(tmp_path), tmp_path / "run")
    decoder = dataclasses.replace(CONFIG.model.pixel_decoder, depth=3)
    other = dataclasses.replace(CONFIG.model, pixel_decoder=decoder)
    with pytest.raises(UserError, match=r"pixel_decoder\.depth=2 instead of 3$"):
        load_student(tmp_path / "run", other)
    (tmp_path / "run" / "config.json").unlink()
    with pytest.raises(UserError, match="neither weights.json nor config.json"):
        load(tmp_path / "run")


@pytest.mark.parametrize("name", ["surgvista_finetuned", "vit", "endossl", "resnet50"])
def test_every_kind_comes_back_from_a_folder(name, tmp_path):
    loaded = _imported(tmp_path, name)
    content = folder.Content(
        loaded.kind, loaded.config, loaded.params, loaded.batch_stats, {"table": name}
    )
    folder.write(tmp_path / "out", content)
    again = load(tmp_path / "out")
    assert (again.kind, again.config) == (loaded.kind, loaded.config)
    assert again.table.name == name
    for ours, theirs in (
        (loaded.params, again.params),
        (loaded.batch_stats or {}, again.batch_stats or {}),
    ):
        ours, theirs = flat(ours), flat(theirs)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    loaded = _imported(tmp_path)
    content = folder.Content("student", loaded.config, loaded.params, None, {"digest": "12"})
    folder.write(tmp_path / "out", content)
    again = load(tmp_path / "out")
    assert again.config == loaded.config and again.kind == "student"
    ours, theirs = loaded.params["encoder"]["norm"], again.params["encoder"]["norm"]
    np.testing.assert_array_equal(ours["scale"], theirs["scale"])
    with pytest.raises(UserError, match="exists already"):
        folder.write(tmp_path / "out", content)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        folder.write(tmp_path / "file" / "out", content)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "out", "x.npz"]


def test_of_a_finetuned_cnn_the_backbone_is_read(tmp_path):
    """As every part of a finetuning run is: from its best parameters."""
    loaded = _imported(tmp_path, "resnet50")
    config = {"mode": "full", "head": {}, "init": ""}
    params = {
        "backbone": loaded.params,
        "batch_stats": loaded.batch_stats,
        "head": {"bias": np.zeros(2, np.float32)},
    }
    meta = {"model": dataclasses.asdict(loaded.config), "classes": ["a", "b"]}
    save_params(tmp_path / "run" / "best", 4, params, meta, keep=1)
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    backbone, variables, again = load_backbone(tmp_path / "run", BackboneConfig("resnet50"))
    assert again.kind == "cnn" and backbone == loaded.config
    for ours, theirs in (("params", loaded.params), ("batch_stats", loaded.batch_stats)):
        ours, theirs = flat(variables[ours]), flat(theirs)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)
    with pytest.raises(UserError, match="holds a cnn, wanted is"):
        load_student(tmp_path / "run", CONFIG.model)
