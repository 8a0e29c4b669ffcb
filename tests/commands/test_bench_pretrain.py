"""The benchmark runs any configuration and reports what it measured."""

import json

import pytest

from surgvista_jax.__main__ import main
from tests.support.compiled_once import compiled_once  # noqa: F401

TINY = [
    "--config=configs/pretrain/cpu.py",
    "--config.budget.batch_size=8",
    "--config.clip.num_frames=4",
    "--config.clip.size=32",
    "--config.model.encoder.depth=1",
    "--config.model.pixel_decoder.depth=1",
]


def test_one_json_object_with_what_was_measured(capsys):
    assert main(["bench", "pretrain", *TINY, "--steps=2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["devices"] == 8 and result["batch_size"] == 8
    assert result["clips_per_second"] == pytest.approx(8000 / result["step_ms"])
    assert result["program_mib"] > 0 and result["gflop_per_clip"] > 0
    assert result["mfu"] is None  # no peak is known of a processor


def test_table_and_mistakes(capsys):
    sliding = ["--config.clip.slide=2", "--config.mask.masks_per_clip=2"]
    words = [*TINY, *sliding, "--config.budget.batch_size=16"]
    assert main(["bench", "pretrain", *words, "--steps=1"]) == 0
    said = capsys.readouterr().out
    assert "step time" in said and "teacher, sliding by 2, 2 masks each" in said
    assert main(["bench", "pretrain", *TINY, "--steps=0"]) == 1
    assert main(["bench", "pretrain", *TINY, "--config.budget.batch_size=9"]) == 1
    error = capsys.readouterr().err
    assert "--steps=0" in error and "batch_size=9" in error and "Traceback" not in error
