"""A finished run is made longer in its folder, and says what becomes of its learning rate."""

import numpy as np
import pytest

from surgvista_jax.config import load_config
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.tasks.selection import Selection
from surgvista_jax.training.longer import Longer, length_of_budget, longer
from surgvista_jax.training.optim import OptimConfig, adamw
from surgvista_jax.training.rundir import read_config
from tests.support.tiny_run import lines, make_config, make_dataset

LENGTH = length_of_budget(40)


def budget(steps=None, epochs=None):
    return {"budget": {"batch_size": 8, "steps": steps, "epochs": epochs, "accumulate": 1}}


@pytest.mark.parametrize(
    ("asked", "done", "words"),
    [
        (budget(16), 4, "4 of its 8 steps are done"),
        (budget(6), 8, "longer, not shorter"),
        (budget(epochs=1.0), 8, "longer, not shorter"),  # 5 updates
    ],
)
def test_what_is_not_finished_or_would_be_shorter_is_refused(tmp_path, asked, done, words):
    (tmp_path / "checkpoints" / str(done)).mkdir(parents=True)
    with pytest.raises(UserError, match=words):
        longer(tmp_path, budget(8), asked, LENGTH)


def test_steps_may_become_epochs(tmp_path):
    (tmp_path / "checkpoints" / "8").mkdir(parents=True)
    assert longer(tmp_path, budget(8), budget(epochs=2.0), LENGTH) == Longer(8, 10)


@pytest.mark.parametrize("done", [4, 10])
def test_the_same_length_in_other_words_is_no_change(tmp_path, done):
    (tmp_path / "checkpoints" / str(done)).mkdir(parents=True)
    assert longer(tmp_path, budget(10), budget(epochs=2.0), LENGTH) is None


def test_the_leap_of_the_learning_rate_is_told():
    optim = OptimConfig(1.0, 0.0, reference_batch=8, warmup_epochs=0)
    said = Longer(100, 200).in_words(adamw(optim, 8), 10)
    assert "from 100 steps to 200" in said
    assert "from 0.000247 to 0.5," in said


def test_where_nothing_scores_the_newest_parameters_are_the_best(tmp_path):
    selection = Selection(tmp_path, 0, newest=True)
    for step in (8, 16):
        assert selection.add(step, float("nan"), {"w": np.zeros(1)}, {})
    assert selection.chosen["step"] == 16
    assert Selection(tmp_path, 16, newest=True).chosen["step"] == 16


def test_a_finished_run_goes_on_to_more_steps_and_to_nothing_else(tmp_path, capsys):
    config = make_config(tmp_path / "config.py", make_dataset(tmp_path / "dataset"))

    def run(steps, *more):
        words = [f"--config.{word}" for word in (f"budget.steps={steps}", *more)]
        values = load_config(f"{config}:none", PretrainConfig, words)
        return pretrain(values, tmp_path / "run")

    run(2)
    assert run(4).step == 4
    assert "made longer: from 2 steps to 4" in capsys.readouterr().err
    assert read_config(tmp_path / "run").values["budget"]["steps"] == 4
    assert sorted(lines(tmp_path / "run")) == [2, 4]
    with pytest.raises(UserError, match="another configuration lives here: budget.steps"):
        run(8, "seed=4")
