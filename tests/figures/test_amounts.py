"""Do bars over amounts of data stand by their own axis, in the study's order, legibly?"""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.commands import figure_scale
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.figures.amounts import Amounts, draw_amounts
from surgvista_jax.figures.bars import Bar
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.drawn_amounts import amounts
from surgvista_jax.studies.files import write_study_report
from surgvista_jax.studies.pretraining_data import parts_of, total_frames
from surgvista_jax.studies.report import build_study_report
from tests.support.drawn_text import check_texts, texts
from tests.support.study_folder import make_study


def made_dataset(folder: Path, procedure: str, frames: tuple[int, ...]) -> Path:
    videos = tuple(Video(f"v{k}", f"frames/v{k}", 1.0, n) for k, n in enumerate(frames))
    for video in videos:
        (folder / video.source).mkdir(parents=True)
    about = {"licence": "", "citation": "", "source_format": "", "procedure": procedure}
    splits = {"train": ("v0",)}
    write_dataset(
        Dataset(folder, folder.name, "none", (), "single", 1.0, splits, videos=videos, **about)
    )
    return folder


@pytest.mark.parametrize(("number", "width"), [(2, "single"), (5, "double"), (24, "single")])
def test_no_texts_run_into_each_other(number: int, width: str) -> None:
    generator = np.random.default_rng(number)
    bars = []
    for axis in range(2):
        values = 60 + 35 * generator.random(number) - 50 * axis
        values[number // 2] = np.nan
        bars.append(tuple(Bar("", v, v - 4, v + 2, (v - 1, v, v + 1)) for v in map(float, values)))
    names = tuple(f"Setting {'with teacher ' * (k % 3)}{k}" for k in range(number))
    sizes = tuple("3.55 M" for _ in names)
    titles = "Accuracy, frames pooled (%)", "Jaccard (%)"
    panel = Amounts("cholec80, linear", names, sizes, titles, (bars[0], bars[1]))
    figure = draw_amounts([panel, panel], "Points: seeds. " * 8, width)
    figure.set_dpi(100)
    check_texts(figure)
    written = " ".join(text for text, _ in texts(figure))
    assert "left: Accuracy" in written and "right: Jaccard" in written


@pytest.fixture
def study(tmp_path: Path) -> Path:
    weights = {name: (name, False, wrong) for name, wrong in zip("AB", (0.4, 0.2), strict=True)}
    cholec = made_dataset(tmp_path / "data/cholec80", "laparoscopic cholecystectomy", (1200, 99))
    pituitary = made_dataset(tmp_path / "data/pitvis", "endoscopic pituitary surgery", (300,))
    pretrainings = [
        {"name": name, "setting": name, "teacher": False, "folder": f"pretrain/{name}", "data": []}
        for name in "AB"
    ]
    folder = make_study(tmp_path / "s", weights, 2, ours="", pretrainings=pretrainings)
    for name, folders in (("A", [cholec]), ("B", [cholec, pituitary])):
        (folder / "pretrain" / name).mkdir(parents=True)
        data = {"folder": ",".join(map(str, folders)), "split": "train", "root": ""}
        (folder / "pretrain" / name / "config.json").write_text(json.dumps({"data": data}))
    return folder


def test_amounts_are_those_of_the_pretraining(study: Path) -> None:
    parts = parts_of(study / "pretrain/B")
    assert [(part.name, part.procedure, part.frames) for part in parts] == [
        ("cholec80", "laparoscopic cholecystectomy", 1200),
        ("pitvis", "endoscopic pituitary surgery", 300),
    ]
    seen = {"datasets": [{"name": "cholec80", "clips": 700}]}
    (study / "pretrain/B/data_seen.json").write_text(json.dumps(seen))
    assert total_frames(parts_of(study / "pretrain/B")) == 1000
    report = build_study_report(collect(study), samples=20)
    (near, _), note = amounts(report)
    assert near.names == ("A", "B") and near.sizes == ("1.2 k", "1 k")
    assert near.axes == ("Accuracy (%)", "Precision (%)") and "pretrained on" in note
    values = [100 * row["scores"]["accuracy"]["value"] for row in report["panels"][0]["rows"]]
    assert [bar.value for bar in near.bars[0]] == values and values[0] < values[1]
    (near, _), _ = amounts(report, "jaccard", "recall")
    assert near.axes == ("Jaccard (%)", "Recall (%)")
    with pytest.raises(UserError, match="no dataset of the study has both scores"):
        amounts(report, "jaccard", "f3")
    for lost in study.glob("pretrain/*/*"):
        lost.unlink()
    assert parts_of(study / "pretrain/B") == [] and total_frames([]) is None


def test_the_command_draws_a_study(study: Path, tmp_path: Path) -> None:
    report = build_study_report(collect(study), samples=20)
    parser = argparse.ArgumentParser()
    figure_scale.add_arguments(parser)
    arguments = parser.parse_args([str(study), f"--out={tmp_path / 'scale.pdf'}"])
    with pytest.raises(UserError, match="study report"):
        figure_scale.main(arguments)
    write_study_report(report, study / "report", lambda path, aside: None)
    figure_scale.main(arguments)
    first = (tmp_path / "scale.pdf").read_bytes()
    figure_scale.main(arguments)
    assert (tmp_path / "scale.pdf").read_bytes() == first
