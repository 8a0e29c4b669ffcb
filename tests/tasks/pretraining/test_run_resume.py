"""A run that was stopped, by whatever, ends as if it never had been: bit for bit."""

import signal

import jax
import numpy as np
import pytest

from surgvista_jax.training.checkpoint import restore_params
from tests.support.tiny_run import (
    finish,
    lines,
    make_config,
    make_dataset,
    start,
    wait_until,
)

SELDOM = "--config.checkpoint.save_every=29"
WORKERS = ["--config.loader.workers=1"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    return make_config(folder / "config.py", make_dataset(folder / "dataset"))


@pytest.fixture(scope="module")
def words(config):
    return ["pretrain", f"--config={config}", "--config.budget.steps=30"]


@pytest.fixture(scope="module")
def uninterrupted(words, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "run"
    finish(start(*words, f"--workdir={workdir}", SELDOM))
    return workdir


def wait_for_step(process, workdir, step):
    def steps():
        return [int(p.name) for p in workdir.glob("checkpoints/[0-9]*") if p.name.isdigit()]

    wait_until(process, lambda: max(steps(), default=0) >= step)


def assert_bit_for_bit(workdir, expected):
    jax.tree.map(np.testing.assert_array_equal, restore_params(workdir), restore_params(expected))
    keys = ("loss", "pixel_loss", "feature_loss", "learning_rate", "grad_norm", "skipped_steps")
    ours, theirs = (
        {step: [row[key] for key in keys] for step, row in lines(run).items()}
        for run in (workdir, expected)
    )
    assert ours == theirs


def test_killed(words, uninterrupted, tmp_path):
    workdir = tmp_path / "run"
    process = start(*words, f"--workdir={workdir}")
    wait_for_step(process, workdir, 4)
    process.kill()
    process.communicate()
    finish(start(*words, f"--workdir={workdir}", *WORKERS, SELDOM))
    assert_bit_for_bit(workdir, uninterrupted)


def test_told_to_stop(words, uninterrupted, tmp_path):
    workdir = tmp_path / "run"
    process = start(*words, f"--workdir={workdir}", *WORKERS, SELDOM)
    wait_until(process, lambda: (workdir / "metrics.jsonl").exists() and lines(workdir))
    process.send_signal(signal.SIGTERM)
    said = finish(process, code=143)
    stopped = [int(path.name) for path in workdir.glob("checkpoints/*")]
    assert len(stopped) == 1 and 0 < stopped[0] < 30, said
    finish(start(*words, f"--workdir={workdir}", SELDOM))
    assert_bit_for_bit(workdir, uninterrupted)
