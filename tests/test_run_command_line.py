"""What a user meets at the command line: one clear line for each mistake, and nothing lost."""

import json
import resource

import jax
import numpy as np
import pytest
from tiny_run import finish, make_config, make_dataset, start

from surgvista_jax.__main__ import COMMANDS, main
from surgvista_jax.training.checkpoint import restore_params


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command line")
    return make_config(folder / "config.py", make_dataset(folder / "dataset"))


def commands(table=COMMANDS, path=()):
    for name, entry in table.items():
        if isinstance(entry, dict):
            yield from commands(entry, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself(words, capsys):
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    assert left.value.code == 0
    assert "usage: surgvista " + " ".join(words) in capsys.readouterr().out


def test_an_override_needs_a_command_with_a_configuration(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["data", "convert", "videos", f"--source={tmp_path}", "--out=x", "--config.seed=1"])
    assert left.value.code != 0
    assert "takes no configuration: --config.seed=1" in capsys.readouterr().err


MISTAKES = {
    "unknown key": ("--config.optim.learning_rte=1", "did you mean learning_rate?"),
    "wrong type": ("--config.budget.steps=many", "config.budget.steps=many: should be of type int"),
    "no visible token": ("--config.mask.ratio=1.0", "mask.ratio=1.0 must hide at least 1"),
    "odd frames": ("--config.clip.num_frames=5", "clip.num_frames=5 is not divisible"),
    "odd size": ("--config.clip.size=40", "clip.size=40 is not divisible"),
    "unshared batch": ("--config.budget.batch_size=12", "cannot be shared by data 8"),
    "unshared heads": ("--config.mesh.model=8", "heads 2 cannot be split over mesh.model=8"),
    "mesh too large": ("--config.mesh.data=3", "there are 8 devices here"),
    "no dataset": ("--config.data.folder=nowhere", "nowhere"),
    "no split": ("--config.data.split=test", "test"),
    "nameless teacher": ("--config.teacher.weights=", "=random"),
    "no epochs": ("--config.budget.steps=none", "give either epochs or steps"),
}


@pytest.mark.parametrize(("word", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_before_anything_is_written(config, tmp_path, capsys, word, said):
    workdir = tmp_path / "run"
    assert main(["pretrain", f"--config={config}", f"--workdir={workdir}", word]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1, error
    assert not workdir.exists()


def test_a_workdir_of_another_configuration(config, tmp_path, capsys):
    workdir = tmp_path / "run"
    workdir.mkdir()
    words = ["pretrain", f"--config={config}", f"--workdir={workdir}", "--config.loop.stop_after=0"]
    assert main([*words, "--config.budget.batch_size=8", "--config.budget.steps=2"]) == 0
    capsys.readouterr()
    before = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    assert main([*words, "--config.budget.steps=2", "--config.optim.weight_decay=0.1"]) == 1
    error = capsys.readouterr().err
    assert "optim.weight_decay was 0.05, is 0.1; take another --workdir" in error
    assert error.count("\n") == 1
    assert before == {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    # The same videos under other numbers of frames are other data.
    meta = json.loads((workdir / "checkpoints" / "2" / "meta" / "metadata").read_text())
    assert set(meta) == {"data", "seed", "batch_size", "window"}


def test_a_full_disk_while_saving_loses_nothing(config, tmp_path):
    words = ["pretrain", f"--config={config}", "--config.budget.steps=6"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    finish(start(*words, f"--workdir={whole}"))
    finish(start(*words, f"--workdir={run}", "--config.loop.stop_after=4"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))  # less than an array needs
    try:
        process = start(*words, f"--workdir={run}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = finish(process, code=1)
    assert "disk full" in said and "last complete checkpoint is step 4" in said
    assert "Traceback" not in said
    finish(start(*words, f"--workdir={run}"))
    jax.tree.map(np.testing.assert_array_equal, restore_params(run), restore_params(whole))
