"""Does `surgvista study report` write its files beside a study, and nothing else?"""

import argparse
from pathlib import Path

import pytest

from surgvista_jax.commands import study_report
from surgvista_jax.errors import UserError
from surgvista_jax.studies.files import FILES
from tests.support.study_folder import make_study


def run(*words: str) -> None:
    parser = argparse.ArgumentParser()
    study_report.add_arguments(parser)
    study_report.main(parser.parse_args(list(words)))


def test_files_are_written_again_alike_but_never_over_foreign_ones(tmp_path: Path, capsys) -> None:
    folder = make_study(tmp_path, seeds=1)
    run(str(folder), "--samples=20")
    said = capsys.readouterr().out
    assert "6 of 6 runs have a result" in said and "written: " in said
    assert "far_away: drawn and paired are videos: whose they are is not known" in said
    out = folder / "report"
    first = {name: (out / name).read_bytes() for name in FILES}
    run(str(folder), "--samples=20")
    assert {name: (out / name).read_bytes() for name in FILES} == first
    (out / "scores.csv").write_text("mine")
    with pytest.raises(UserError, match="scores.csv: is there already"):
        run(str(folder), "--samples=20")
    assert (out / "scores.csv").read_text() == "mine"
    run(str(folder), "--samples=20", "--overwrite")
    assert (out / "scores.csv").read_bytes() == first["scores.csv"]


def test_options_that_mean_nothing_are_one_line(tmp_path: Path) -> None:
    for word in ("--samples=0", "--seed=-1"):
        with pytest.raises(UserError, match=word.split("=")[0]):
            run(str(tmp_path), word)
