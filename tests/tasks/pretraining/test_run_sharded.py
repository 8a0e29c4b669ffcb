"""One run on two datasets, whatever computes it: one device, eight in two meshes, two processes."""

import json
import os
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from surgvista_jax.config import load_config
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.training import run
from surgvista_jax.training.compiled_step import CompiledStep
from tests.support.one_device import on_one_device
from tests.support.places import ROOT
from tests.support.same_run import assert_same_run
from tests.support.tiny_run import finish, lines, make_config, make_dataset

MESHES = {"data": "8,1,1", "all three": "2,2,2"}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    datasets = [make_dataset(folder / name) for name in ("dataset", "other")]
    file = make_config(folder / "config.py", ",".join(map(str, datasets)))
    text = file.read_text().replace('"save_every": 2', '"save_every": 8')
    mixture = '"allow_overlap": True, "mixture": {"dataset": 2.0, "other": 1.0}, "split"'
    file.write_text(text.replace('"split"', mixture))
    return file


def mesh_words(sizes: str) -> list[str]:
    names = ("data", "fsdp", "model")
    return [
        f"--config.mesh.{name}={size}" for name, size in zip(names, sizes.split(","), strict=True)
    ]


@pytest.fixture(scope="module")
def one_device(config, tmp_path_factory):
    """The run that all others must equal."""
    workdir = tmp_path_factory.mktemp("one") / "run"
    with on_one_device():
        pretrain(load_config(str(config), PretrainConfig), workdir)
    return workdir


@pytest.mark.parametrize("sizes", MESHES.values(), ids=MESHES)
def test_eight_devices_equal_one(config, one_device, tmp_path, sizes):
    finished = pretrain(
        load_config(str(config), PretrainConfig, mesh_words(sizes)), tmp_path / "run"
    )
    assert finished.step == 8
    assert_same_run(tmp_path / "run", one_device)
    kernel = finished.state.params["encoder"]["transformer"]["blocks"]["mlp"]["up"]["kernel"]
    shares = 1 if sizes == "8,1,1" else 4
    assert kernel.addressable_shards[0].data.size == kernel.size // shares


def test_accumulating_two_on_eight_devices_equals_one_batch_on_one(config, tmp_path):
    """Drop path draws by micro-batch, so it is left out on both sides."""
    plain = "--config.model.encoder.drop_path=0.0"
    with on_one_device():
        pretrain(load_config(str(config), PretrainConfig, [plain]), tmp_path / "one")
    words = [plain, "--config.budget.accumulate=2", *mesh_words("4,1,2")]
    pretrain(load_config(str(config), PretrainConfig, words), tmp_path / "two")
    assert_same_run(tmp_path / "two", tmp_path / "one")


def test_activations_are_constrained(config, tmp_path, monkeypatch):
    """Without the mesh or the rules in place a constraint is silently nothing."""

    class Lowered(Exception):
        pass

    class Shown(CompiledStep):
        def lower(self, *shapes):
            raise Lowered(super().lower(*shapes).as_text())  # what follows others test

    monkeypatch.setattr(run, "CompiledStep", Shown)
    with pytest.raises(Lowered, match="sharding_constraint"):
        pretrain(load_config(str(config), PretrainConfig, mesh_words("2,2,2")), tmp_path / "run")


KILLED = """
import os, signal, sys, time
from pathlib import Path
from surgvista_jax.__main__ import main
from surgvista_jax.training.step_log import StepLog

read = StepLog.read


def read_or_die(self, dispatched):
    read(self, dispatched)
    if dispatched is not None and dispatched.step == 6:
        while not Path(sys.argv[1], "checkpoints", "4").is_dir():
            time.sleep(0.01)
        Path(sys.argv[1], "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)


if "--process-id=1" in sys.argv:
    StepLog.read = read_or_die
sys.exit(main(sys.argv[2:]))
"""


def test_two_processes_of_which_one_is_killed_are_gone_on_with_by_one(
    config, one_device, tmp_path, monkeypatch
):
    """As launch/local starts them, each with a GPU for itself: here is none, so they do without.

    Among two devices sums have one order, whichever processes they are of: the end is the same bit
    for bit.
    """
    program, workdir = tmp_path / "bin" / "surgvista", tmp_path / "a run"
    program.parent.mkdir()
    (tmp_path / "killed.py").write_text(KILLED)
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/killed.py" "{workdir}" "$@"\n'
    )
    program.chmod(0o755)
    asked = [*mesh_words("1,2,1"), "--config.checkpoint.save_every=4"]
    folders = f"{config.parent / 'dataset'},{config.parent / 'other'}"
    words = ["pretrain", config, folders, workdir, *asked]
    variables = {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "JAX_NUM_CPU_DEVICES": "1",
        "TF_CPP_MIN_LOG_LEVEL": "1",
        "PYTHONWARNINGS": "error",
    }
    both = subprocess.Popen(
        [ROOT / "launch/local/train.sh", "--processes=gpus", *words, "--config.loader.workers=0"],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = finish(both, code=1, seconds=420)
    assert (workdir / "killed").exists(), said
    assert time.time() - (workdir / "killed").stat().st_mtime < 60
    (line,) = (line for line in said.splitlines() if line.startswith("surgvista: "))
    assert line.startswith("surgvista: process 1 (") and "ended without a word (killed" in line

    devices = jax.devices()[:2]
    monkeypatch.setattr(jax, "devices", lambda *asked: devices)
    finished = pretrain(load_config(str(config), PretrainConfig, asked), workdir)
    assert finished.step == 8 and lines(workdir).keys() == lines(one_device).keys()
    assert_same_run(workdir, one_device)
    meta = json.loads((workdir / "checkpoints" / "8" / "meta" / "metadata").read_text())
    assert meta["batch_size"] == 8
    whole = pretrain(load_config(str(config), PretrainConfig, asked), tmp_path / "uninterrupted")
    jax.tree.map(np.testing.assert_array_equal, finished.state, whole.state)
