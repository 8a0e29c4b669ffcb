"""What a pretraining run begins with: its parameters and its teacher, which may come from files."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.config import build, load_config
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.training import loop
from surgvista_jax.training.compiled_step import CompiledStep
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.write import flat
from tests.support.tiny_run import make_config
from tests.support.weight_files import random_arrays, write


def begin(
    config: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[dict, dict]:
    """The parameters and the teacher that a run would begin with; no step of it is run.

    Args:
        config: the configuration's file.
        folder: where the run's folder goes.
        words: overrides, such as "init=random".
    """
    seen = {}

    def look(run, hooks):
        run.batches.close()
        seen.update(params=run.state.params, teacher=run.frozen)
        return loop.Finished(run.state, 0, preempted=True)

    monkeypatch.setattr(loop, "run_to_end", look)
    monkeypatch.setattr(CompiledStep, "compile_ahead", lambda *shapes: None)
    overrides = [f"--config.{word}" for word in words]
    workdir = next(path for i in itertools.count() if not (path := folder / f"begun{i}").exists())
    pretrain(load_config(str(config), PretrainConfig, overrides), workdir)
    return seen["params"], seen["teacher"]


def teacher_file(path: Path, grid: tuple[int, int] = (2, 2)) -> dict[str, np.ndarray]:
    """Writes a teacher of the tiny run's sizes under EndoSSL's names; returns its arrays.

    Args:
        path: where to.
        grid: patches of its table of positions.
    """
    config = make_config(path.with_suffix(".py"), path.parent)
    teacher = build(PretrainConfig, load_config(str(config), PretrainConfig)).teacher
    arrays = random_arrays(tables.find("endossl").entries(teacher.encoder))
    rng = np.random.default_rng(1)
    arrays["pos_embed"] = rng.standard_normal((1, grid[0] * grid[1], 16), np.float32)
    write(path, arrays)
    return arrays


def assert_same(found: dict, wanted: dict) -> None:
    """Two trees have the same names and, bit for bit, the same arrays."""
    found, wanted = flat(found), flat(wanted)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
