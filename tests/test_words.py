"""Words of the command line that no option can mean, and errors of the system, are one line."""

import io
import sys

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.errors import ending

EMPTY = {
    "--workdir": ["pretrain", "--config=configs/demo.py", "--workdir="],
    "--config": ["pretrain", "--config", "", "--workdir=x"],
    "--out": ["data", "convert", "videos", "--source=x", "--out= "],
    "--source": ["demo", "--source", "\t"],
    "--truth": ["evaluate", "x.csv", "--truth="],
    "--checkpoint": ["predict", "x", "--out=o", "--checkpoint="],
    "an argument": ["data", "check", ""],
}


@pytest.mark.parametrize("option", EMPTY)
def test_an_empty_word_is_refused_and_nothing_is_written(option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(EMPTY[option]) == 1
    assert capsys.readouterr().err.startswith(f"surgvista: {option}: is empty")
    assert not list(tmp_path.iterdir())


def test_two_hyphens_are_no_value_of_an_option(tmp_path, capsys):
    assert main(["data", "pack", str(tmp_path), "--frames-per-shard=--"]) == 1
    assert capsys.readouterr().err.startswith("surgvista: --frames-per-shard: -- is no value")


@pytest.mark.parametrize("word", ["a\udcff", "--out=\ud800"])
def test_a_word_that_is_no_text_is_one_line(word, capsys):
    assert main(["data", "check", word]) == 1
    assert "is not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["data", "check"], ["weights", "inspect"], ["evaluate"]])
@pytest.mark.parametrize("length", [300, 5000])
def test_a_name_of_too_many_letters_is_one_line(command, length, tmp_path, capsys):
    more = ["--protocol=phase-strict", "--fps=1"] if command == ["evaluate"] else []
    assert main([*command, str(tmp_path / ("a" * length)), *more]) == 1
    said = capsys.readouterr().err
    assert said.startswith("surgvista: ") and said.count("\n") == 1


def test_what_a_console_cannot_show_ends_no_command(monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", console)
    assert main(["data", "list", "cholec80"]) == 0
    print("Präp \ud800", file=console)


def test_an_error_of_the_system_names_the_file():
    end = ending(FileNotFoundError(2, "No such file or directory", "a/b"))
    assert end is not None and end.words == "a/b: No such file or directory"
    assert ending(OSError("no number of the system's: ours")) is None
