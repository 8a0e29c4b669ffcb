"""Do rings show the shares of frames, and words that do not run into each other?"""

import argparse
import json
from pathlib import Path

import pytest

from surgvista_jax.commands import figure_rings
from surgvista_jax.errors import UserError
from surgvista_jax.figures.rings import Ring, Rings, draw_rings, percent
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.drawn_rings import of_study, rings
from surgvista_jax.studies.pretraining_data import Part
from tests.figures.test_amounts import made_dataset
from tests.support.drawn_text import check_texts, texts
from tests.support.study_folder import make_study

SEEN = (
    Part("cholec80", "laparoscopic cholecystectomy", 600),
    Part("autolaparo", "laparoscopic hysterectomy", 300),
    Part("web", "many", 100),
)


def test_shares_are_of_frames() -> None:
    tasks = (
        ("m2cai16", "laparoscopic cholecystectomy"),
        ("actions", "gynaecologic laparoscopy"),
        ("mine", ""),
    )
    found = rings("A", SEEN, tasks)
    assert found.rings == (
        Ring("m2cai16", (0.6, 0.3, 0.1), (0.6, 0.3, 0.1)),
        Ring("actions", (0.3, 0.6, 0.1), (0.0, 0.9, 0.1)),
        Ring("mine", (0.0, 0.0, 1.0), (0.0, 0.0, 1.0)),
    )
    # A dataset has all in common with itself, though nobody says what it shows.
    unknown = [Part("mine", "", 300), Part("yours", "", 100)]
    (mine, other) = rings("A", unknown, [("mine", ""), ("other", "")]).rings
    assert mine.anatomy == mine.operation == (0.75, 0.0, 0.25)
    assert other.anatomy == other.operation == (0.0, 0.0, 1.0)
    with pytest.raises(UserError, match="how many frames of b were seen"):
        rings("A", [Part("b", "", None)], tasks)
    assert [percent(x) for x in (0.0, 0.004, 0.4, 0.996, 1.0)] == [
        "0 %",
        "<1 %",
        "40 %",
        ">99 %",
        "100 %",
    ]


@pytest.mark.parametrize(("number", "width"), [(2, "single"), (24, "double")])
def test_no_texts_run_into_each_other(number: int, width: str) -> None:
    names = [
        ("SurgicalActions160 of Klagenfurt", "m2cai16", "W" * 40)[k % 3] for k in range(number)
    ]
    group = Rings("Setting A", tuple(Ring(n, (0.996, 0.004, 0.0), (0.0, 0.0, 1.0)) for n in names))
    figure = draw_rings([group, group], "Shares are of frames.", width)
    figure.set_dpi(100)
    check_texts(figure)
    written = [text for text, _ in texts(figure)]
    assert written.count("anatomy >99 %") == written.count("operation not known") == 2 * number


def run(*words: str) -> None:
    parser = argparse.ArgumentParser()
    figure_rings.add_arguments(parser)
    figure_rings.main(parser.parse_args(list(words)))


def test_folders_and_studies_are_drawn_alike(tmp_path: Path) -> None:
    cholec = made_dataset(tmp_path / "data/cholec80", "laparoscopic cholecystectomy", (30, 5))
    pretrainings = [
        {"name": name, "setting": "A", "teacher": name == "t", "folder": f"pretrain/{name}"}
        for name in "tp"
    ]
    datasets = [
        {"name": "near", "task": "phase", "group": "", "folder": str(cholec)},
        {"name": "far_away", "task": "phase", "group": "", "folder": "data/gone"},
        {"name": "unused", "task": "none", "group": "", "folder": "data/gone"},
    ]
    study = make_study(tmp_path / "s", seeds=1, pretrainings=pretrainings, datasets=datasets)
    with pytest.raises(UserError, match="no pretraining has begun"):
        of_study(collect(study))
    for name in "tp":
        (study / "pretrain" / name).mkdir(parents=True)
        config = {"data": {"folder": str(cholec), "split": "train"}}
        (study / "pretrain" / name / "config.json").write_text(json.dumps(config))
    (found,) = of_study(collect(study))  # the same data with and without a teacher: once
    assert found.title == "A: cholec80" and [ring.name for ring in found.rings] == [
        "near",
        "far_away",
    ]
    assert found.rings[0].anatomy == (1.0, 0.0, 0.0) and found.rings[1].anatomy[2] == 1
    for name in "ab":
        run(str(study), f"--out={tmp_path / name}.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    run("--pretraining", str(cholec), "--downstream", str(cholec), f"--out={tmp_path / 'c'}.pdf")
    with pytest.raises(UserError, match="give a study's folder; or --pretraining"):
        run("--pretraining", str(cholec), f"--out={tmp_path / 'd'}")
