"""A run folder says whose run it holds, and takes no other."""

import dataclasses
import json

import ml_collections
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training.rundir import claim, read_config
from tests.support.killed_writer import leave_half_written

CONFIG = ml_collections.ConfigDict({"seed": 1, "mask": {"ratio": 0.9}})


@dataclasses.dataclass(frozen=True)
class Mask:
    ratio: float = 0.5


@dataclasses.dataclass(frozen=True)
class Empty:
    pass


@dataclasses.dataclass(frozen=True)
class Settings:
    seed: int = 0
    mask: Mask | None = None


def begun(folder, config=CONFIG, kind="pretraining"):
    claim(folder, config, Settings, kind, ())
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    return folder


def test_the_kind_is_written_beside_the_configuration(tmp_path):
    found = read_config(begun(tmp_path))
    assert found == ("pretraining", CONFIG.to_dict(), None)
    claim(tmp_path, CONFIG, Settings, "pretraining", ())  # it goes on


def test_a_run_of_another_kind_is_refused(tmp_path):
    begun(tmp_path)
    with pytest.raises(UserError, match=r"\(pretraining, now finetuning\); take another"):
        claim(tmp_path, CONFIG, Settings, "finetuning", ())


@pytest.mark.parametrize("process", [0, 1])
@pytest.mark.parametrize("goes_on", [True, False])
def test_what_killed_writers_left_is_removed_by_the_first_process(
    goes_on, process, tmp_path, monkeypatch
):
    if goes_on:
        begun(tmp_path)
    left = [
        leave_half_written(tmp_path / "x"),
        leave_half_written(tmp_path / "figures" / "x", "a_234567"),
    ]
    (tmp_path / "figures" / "x.png").touch()
    monkeypatch.setattr("jax.process_index", lambda: process)
    claim(tmp_path, CONFIG, Settings, "pretraining", ())
    assert [folder.exists() for folder in left] == [process > 0] * 2
    assert (tmp_path / "figures" / "x.png").exists()


def test_what_belongs_to_another_run_is_left_alone(tmp_path):
    begun(tmp_path)
    left = leave_half_written(tmp_path / "x")
    with pytest.raises(UserError):
        claim(tmp_path, CONFIG, Settings, "finetuning", ())
    assert left.exists()


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"mask": {}, "data": {}, "seed": 0}, "pretraining"),
        ({"head": {}, "mode": "full", "data": {}, "seed": 0}, "finetuning"),
        ({"mode": "temporal", "data": {}, "seed": 0}, "temporal"),
    ],
)
def test_runs_of_before_it_was_written_are_known_by_their_keys(tmp_path, config, kind):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_config(tmp_path) == (kind, config, None)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    claim(tmp_path, ml_collections.ConfigDict(config), Empty, kind, ())


def test_a_run_of_before_a_key_was_there_goes_on_with_its_default_alone(tmp_path):
    begun(tmp_path, ml_collections.ConfigDict({"seed": 1, "mask": {}}))
    same = ml_collections.ConfigDict({"seed": 1, "mask": {"ratio": 0.5}})
    claim(tmp_path, same, Settings, "pretraining", ())
    with pytest.raises(UserError, match=r"mask\.ratio was 0\.5, is 0\.9"):
        claim(tmp_path, CONFIG, Settings, "pretraining", ())


def test_a_default_that_is_not_said_is_no_difference(tmp_path):
    silent = ml_collections.ConfigDict({"seed": 1, "mask": {}})
    begun(tmp_path, silent)
    claim(tmp_path, silent, Settings, "pretraining", ())


@pytest.mark.parametrize(("text", "said"), [("{", "is not JSON"), ("[]", "a JSON object")])
def test_a_damaged_configuration_is_one_line(tmp_path, text, said):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=said):
        read_config(tmp_path)
