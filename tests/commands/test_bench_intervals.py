"""`surgvista bench intervals` says how often intervals hold the truth."""

import json

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands import bench_intervals
from surgvista_jax.metrics import coverage


def test_a_row_for_each_score_and_a_column_for_each_sample(monkeypatch, capsys) -> None:
    monkeypatch.setattr(coverage, "MANY", 200)
    words = ["bench", "intervals", "--sizes", "3", "--repetitions", "2"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert all(title in shown for title in coverage.TITLES.values()) and "3 a  3 b  3 c" in shown
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == 3 and found["rows"][0]["coverage"].keys() == coverage.TITLES.keys()


@pytest.mark.parametrize("num", [1, 4])
def test_any_number_of_kinds_of_samples(monkeypatch, capsys, num) -> None:
    monkeypatch.setattr(coverage, "MANY", 200)
    kinds = {f"kind {k}": (False, 0.1 * k) for k in range(num)}
    monkeypatch.setattr(bench_intervals, "KINDS", kinds)
    assert main(["bench", "intervals", "--sizes", "3", "--repetitions", "1"]) == 0
    shown = capsys.readouterr().out
    assert "  ".join(f"3 {letter}" for letter in "abcd"[:num]) + "\n" in shown
    assert all(f"{letter}: {kind}\n" in shown for letter, kind in zip("abcd", kinds, strict=False))


@pytest.mark.parametrize("words", [["--sizes", "1"], ["--repetitions", "0"]])
def test_mistakes_are_one_line(words, capsys) -> None:
    assert main(["bench", "intervals", *words]) == 1
    assert capsys.readouterr().err.count("\n") == 1
