"""A finished run is made longer in its folder, and says what becomes of its learning rate."""

import dataclasses

import ml_collections
import numpy as np
import pytest

from surgvista_jax.config import load_config
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.tasks.selection import Selection
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.longer import NewLength, length_of_budget, new_length
from surgvista_jax.training.optim import OptimConfig, adamw
from surgvista_jax.training.rundir import claim, read_config
from tests.support.one_device import on_one_device
from tests.support.tiny_run import lines, make_config, make_dataset

LENGTH = length_of_budget(40)


def budget(steps=None, epochs=None):
    return {"budget": {"batch_size": 8, "steps": steps, "epochs": epochs, "accumulate": 1}}


@pytest.mark.parametrize(
    ("asked", "done", "words"),
    [
        (budget(16), 4, "4 of its 8 steps are done: a run can be made longer"),
        (budget(6), 4, "4 of its 8 steps are done: a run cannot be made shorter"),
        (budget(6), 8, "longer, not shorter"),
        (budget(epochs=1.0), 8, "longer, not shorter"),  # 5 updates
    ],
)
def test_what_is_not_finished_or_would_be_shorter_is_refused(tmp_path, asked, done, words):
    (tmp_path / "checkpoints" / str(done)).mkdir(parents=True)
    with pytest.raises(UserError, match=words):
        new_length(tmp_path, budget(8), asked, LENGTH)


def test_steps_may_become_epochs(tmp_path):
    (tmp_path / "checkpoints" / "8").mkdir(parents=True)
    found = new_length(tmp_path, budget(8), budget(epochs=2.0), LENGTH)
    assert found == NewLength(8, 10, done=8, ended=8)


@pytest.mark.parametrize("done", [4, 10])
def test_the_same_length_in_other_words_is_no_change(tmp_path, done):
    (tmp_path / "checkpoints" / str(done)).mkdir(parents=True)
    assert new_length(tmp_path, budget(10), budget(epochs=2.0), LENGTH) is None


def test_the_leap_of_the_learning_rate_is_told():
    optim = OptimConfig(1.0, 0.0, reference_batch=8, warmup_epochs=0)
    said = NewLength(100, 200, done=100, ended=100).in_words(adamw(optim, 8), 10)
    assert "from 100 steps to 200" in said
    assert "from 0.000247 to 0.5," in said


@pytest.mark.parametrize(
    ("asked", "done", "found"),
    [
        (16, 9, NewLength(1000, 16, done=9, ended=8)),
        (9, 9, NewLength(1000, 9, done=9, ended=8)),  # it ends where it is
        (8, 8, NewLength(1000, 8, done=8)),  # taken back
        (2000, 8, NewLength(1000, 2000, done=8, ended=8)),
    ],
)
def test_a_lengthening_may_be_mended_down_to_what_is_done(tmp_path, asked, done, found):
    (tmp_path / "checkpoints" / str(done)).mkdir(parents=True)
    assert new_length(tmp_path, budget(1000), budget(asked), LENGTH, ended=8) == found
    assert f"{asked:,} steps" in found.in_words(adamw(OptimConfig(1.0), 8), 10)


@pytest.mark.parametrize(("asked", "done"), [(8, 9), (9, 10), (7, 8), (6, 4)])
def test_what_a_lengthening_has_trained_is_not_undone(tmp_path, asked, done):
    for step in (8, done):
        (tmp_path / "checkpoints" / str(step)).mkdir(parents=True, exist_ok=True)
    words = f"changed to {max(done, 8)} steps or more, not to {asked}; its parameters after 8 are"
    with pytest.raises(UserError, match=words):
        new_length(tmp_path, budget(1000), budget(asked), LENGTH, ended=8)


@dataclasses.dataclass(frozen=True)
class Settings:
    budget: BudgetConfig


def test_a_lengthening_that_is_taken_back_leaves_no_trace(tmp_path):
    def claimed(steps):
        config = ml_collections.ConfigDict(budget(steps))
        return claim(tmp_path, config, Settings, "pretraining", (), length=LENGTH)

    assert claimed(8) is None
    (tmp_path / "checkpoints" / "8").mkdir(parents=True)
    begun = (tmp_path / "config.json").read_bytes()
    assert claimed(1000).ended == 8 and claimed(1000) is None
    assert claimed(100).before == 1000
    assert claimed(8).ended is None
    assert (tmp_path / "config.json").read_bytes() == begun
    assert claimed(100).ended == 8
    (tmp_path / "checkpoints" / "100").mkdir()
    assert claimed(200).ended == 100


def test_where_nothing_scores_the_newest_parameters_are_the_best(tmp_path):
    selection = Selection(tmp_path, 0, newest=True)
    for step in (8, 16):
        assert selection.add(step, float("nan"), {"w": np.zeros(1)}, {})
    assert selection.chosen["step"] == 16
    assert Selection(tmp_path, 16, newest=True).chosen["step"] == 16


@on_one_device()
def test_a_finished_run_goes_on_to_more_steps_and_to_nothing_else(tmp_path, capsys):
    config = make_config(tmp_path / "config.py", make_dataset(tmp_path / "dataset"))

    def run(steps, *more):
        words = [f"--config.{word}" for word in (f"budget.steps={steps}", *more)]
        values = load_config(f"{config}:none", PretrainConfig, words)
        return pretrain(values, tmp_path / "run")

    run(2)
    assert run(1000, "loop.stop_after=3").step == 3  # mistyped
    assert "made longer: from 2 steps to 1,000" in capsys.readouterr().err
    assert run(4).step == 4
    said = "made longer otherwise: to 4 steps instead of 1,000, of which 3 are done"
    assert said in capsys.readouterr().err
    assert read_config(tmp_path / "run").values["budget"]["steps"] == 4
    again = load_config(str(tmp_path / "run/config.json"), PretrainConfig)
    assert again.to_dict() == read_config(tmp_path / "run").values
    assert sorted(lines(tmp_path / "run")) == [2, 4]
    with pytest.raises(UserError, match="another configuration lives here: budget.steps"):
        run(8, "seed=4")
