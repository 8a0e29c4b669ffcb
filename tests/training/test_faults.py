"""Steps that are skipped: each is named and counted, and too many in a row end the run."""

import json

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.training.names import Names
from tests.support.toy_run import Batches, metrics, train


def poison(*steps):
    """Batches whose values are not finite at these steps."""
    return lambda s: Batches(s, x=lambda step, x: x * np.float32("nan") if step in steps else x)


def test_a_bad_step_is_skipped_named_and_left_out_of_the_means(tmp_path, capsys):
    names = Names(clip=lambda index: ("vidéo", index))
    train(tmp_path, make_batches=poison(6, 9), max_bad_steps=2, names=names)
    assert [line["skipped_steps"] for line in metrics(tmp_path, "skipped_steps")] == [0, 2, 0, 0]
    assert all(np.isfinite(line["loss"]) for line in metrics(tmp_path, "loss"))
    text = (tmp_path / "skipped_steps.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in text]
    assert [line["step"] for line in lines] == [7, 10]
    assert lines[0]["clips"] == [f"('vidéo', {index})" for index in range(8)]
    err = capsys.readouterr().err
    assert "step 7 skipped" in err and "('vidéo', 0); ('vidéo', 1)" in err


def test_bad_steps_in_a_row_end_the_run_with_the_good_checkpoint(tmp_path):
    with pytest.raises(UserError, match="step 14: .* not finite 3 steps in a row"):
        train(tmp_path, make_batches=poison(11, 12, 13, 14, 15), max_bad_steps=3, save_every=7)
    assert {child.name for child in (tmp_path / "checkpoints").iterdir()} == {"7"}
    assert np.isfinite(restore_params(tmp_path)["w"]).all()


def test_a_resumed_run_names_each_skipped_step_once(tmp_path):
    with pytest.raises(UserError):
        train(tmp_path, make_batches=poison(11, 12, 13), max_bad_steps=3, save_every=12)
    train(tmp_path, make_batches=poison(11, 12), max_bad_steps=3, save_every=10)
    lines = (tmp_path / "skipped_steps.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [12, 13]
