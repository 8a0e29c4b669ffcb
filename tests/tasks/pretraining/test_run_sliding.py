"""A run of clips that slide goes on bit for bit, and says what does not fit in one line."""

import json
import shutil

import jax
import numpy as np
import pytest

from surgvista_jax.config import load_config
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.pretraining import train
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.training.checkpoint import restore_params
from tests.support.one_device import on_one_device
from tests.support.tiny_run import lines, make_config, make_dataset

WORDS = [
    *("--config.clip.slide=2", "--config.budget.batch_size=16", "--config.budget.steps=4"),
    *("--config.model.encoder.depth=1", "--config.teacher=none"),
]
SAID = "40 clips slide by 2 over 24 stretches, of whose places 16.7% are empty"
KEYS = ("loss", "pixel_loss", "learning_rate", "grad_norm")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sliding")
    return make_config(folder / "config.py", make_dataset(folder / "dataset"))


def run(config, workdir, *words):
    return train.pretrain(load_config(str(config), PretrainConfig, [*WORDS, *words]), workdir)


@on_one_device()
def test_a_run_that_was_stopped_goes_on_bit_for_bit(config, tmp_path, capsys):
    whole, workdir = tmp_path / "whole", tmp_path / "run"
    assert run(config, whole).step == 4
    assert SAID in capsys.readouterr().err
    assert json.loads((whole / "config.json").read_text())["clip"]["slide"] == 2
    shutil.copytree(whole, workdir)
    shutil.rmtree(workdir / "checkpoints" / "4")  # as if killed after its checkpoint of step 2
    with pytest.raises(UserError, match="clip.slide was 2, is 1"):
        run(config, workdir, "--config.clip.slide=1")
    run(config, workdir)
    both = restore_params(workdir), restore_params(whole)
    jax.tree.map(np.testing.assert_array_equal, *both)
    ours, theirs = (
        {step: [row[key] for key in KEYS] for step, row in lines(each).items()}
        for each in (workdir, whole)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config.clip.slide=0"], "config.clip.slide=0: should be a whole number of at least 1"),
        (
            ["--config.clip.slide=3"],
            "batch_size=16: config.clip.slide=3 clips of a stretch stay together, on one of 8"
            r" device\(s\) and in one of 1 part\(s\): make it a multiple of 24, such as 24",
        ),
        (
            ["--config.clip.slide=8", "--config.budget.batch_size=64"],
            "config.clip.slide=8: no video is long enough for so many clips, 4 frames after one"
            " another; the longest has 20 frames: take 5 or less",
        ),
    ],
)
def test_a_number_of_clips_that_does_not_fit_is_one_line(config, tmp_path, words, said):
    with pytest.raises(UserError, match=said):
        run(config, tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()
