"""Do the studies that come with the package ask for what the programs understand?"""

from dataclasses import replace

import pytest

from surgvista_jax.config import build, load_config
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.studies.costs import Costs
from surgvista_jax.studies.described import check_configs
from surgvista_jax.studies.plan import plan
from surgvista_jax.studies.reading import read_study
from surgvista_jax.studies.telling import cost_of
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.programs import program_of
from tests.studies.test_plan import configs
from tests.support.labelled_dataset import dataset
from tests.support.places import ROOT

FILES = sorted(path.stem for path in (ROOT / "configs" / "studies").glob("*.py"))
FEW = "datasets=surgicalactions160,prostatd"
GIVEN = {
    "comparison": ["weights.endossl=e.pth", "modes=full,temporal", "seeds=1"],
    "probing": ["weights.gsvit=g.pth", FEW],
    "scale": ["teacher=endossl:t.pth", FEW, "settings=A,E"],
    "distillation": ["teacher=endossl:t.pth", FEW, "alone=published", "settings=B"],
    "slide": [FEW],
    "own": ["data=first,second,videos", "teacher=endossl:t.pth"],
}


def own_datasets(root):
    """Two labelled folders, and one of videos alone; the word that says where."""
    labelled, plain = dataset((0, 1, 2), (0, 1)), dataset(None, classes=())
    for name in ("first", "second", "videos"):
        task, of = ("none", plain) if name == "videos" else ("phase", labelled)
        splits = {"train": tuple(video.video for video in of.videos)}
        for video in splits["train"]:
            (root / name / video).mkdir(parents=True)
        write_dataset(replace(of, folder=root / name, name=name, task=task, splits=splits))
    return f"root={root}"


def jobs_of(name, out):
    given = [*GIVEN.get(name, []), *([own_datasets(out)] if name == "own" else [])]
    words = [f"--config.{word}" for word in given]
    study = read_study(f"configs/studies/{name}.py", words)
    check_configs(study, name, configs)
    return study, plan(study.cells, out, configs)


@pytest.mark.parametrize("name", FILES)
def test_each_run_is_one_that_its_program_takes(name, tmp_path):
    study, jobs = jobs_of(name, tmp_path)
    assert study.title.endswith(".")
    seen = set()
    for job in jobs:
        for run in job.runs:
            command, spec = run.words[0], run.words[1].removeprefix("--config=")
            words = [word for word in run.words if word.startswith("--config.")]
            alike = (command, spec, *(w for w in words if "seed" not in w and "folder" not in w))
            if command not in ("pretrain", "finetune") or alike in seen:
                continue
            seen.add(alike)
            cls = PretrainConfig if command == "pretrain" else lambda v: program_of(v).config
            values = load_config(spec, cls, words)
            build(PretrainConfig if command == "pretrain" else program_of(values).config, values)
    assert seen


@pytest.mark.parametrize("name", FILES)
def test_each_job_has_a_cost(name, tmp_path):
    _, jobs = jobs_of(name, tmp_path)
    costs = Costs(configs, "h100")
    unknown = {job.cell.data.name for job in jobs if cost_of(job, costs).hours is None}
    assert unknown <= {"cholec80-cvs"}


def test_the_whole_of_the_published_recipe_costs_what_the_plan_of_one_run_says(tmp_path):
    """docs/plans.md: 562 device-hours of H100s for the 3.55 million clips, 201 epochs."""
    _, jobs = jobs_of("scale", tmp_path)
    (whole,) = (job for job in jobs if job.name == "pretrain/setting-E")
    assert cost_of(whole, Costs(configs, "h100")).hours == pytest.approx(562, rel=0.01)


def test_tiny_is_what_it_promises(tmp_path):
    study, jobs = jobs_of("tiny", tmp_path)
    assert len(study.cells) == 4 * 2 * 2 * 3  # settings and teachers, datasets, modes, seeds
    assert [job.stage for job in jobs if job.stage != "cells"] == ["data"] * 2 + ["pretrain"] * 4
    assert study.ours == "A-teacher"


@pytest.mark.parametrize("name", ["comparison", "probing"])
def test_surgvista_is_tested_where_its_file_is_given(name):
    def ours(*words):
        return read_study(f"configs/studies/{name}.py", [f"--config.{word}" for word in words]).ours

    both = "weights.mvd=m.pth", "weights.surgvista=s.pth", FEW
    assert ours(*both) == "surgvista"
    assert ours(*both, "ours=mvd") == "mvd" and ours(*both, "ours=") == ""
    assert ours("weights.mvd=m.pth", FEW) == ""
    with pytest.raises(UserError, match="config.ours='dino': no cell has these weights"):
        ours(*both, "ours=dino")


def test_a_teacher_that_is_not_named_is_one_line():
    with pytest.raises(UserError, match="--config.teacher="):
        read_study("configs/studies/scale.py")


def test_own_datasets_are_pretrained_on_one_after_the_other(tmp_path):
    study, jobs = jobs_of("own", tmp_path)
    made = {run.folder: run.words for job in jobs for run in job.runs if job.stage == "pretrain"}
    names = ["first", "second", "videos"]
    ways = "teacher", "alone"
    assert [*made] == [f"pretrain/{name}-{way}" for name in names for way in ways]
    for number, name in enumerate(names):
        seen = ",".join(str(tmp_path / each) for each in names[: number + 1])
        said = [
            [word for word in made[f"pretrain/{name}-{way}"] if word.startswith("--config.")]
            for way in ways
        ]
        both = ["--config.seed=0", f"--config.data.folder={seen}"]
        assert said == [
            [f"--config.teacher{words}", *both] for words in (".weights=endossl:t.pth", "=none")
        ]
    assert {cell.data.name for cell in study.cells} == {"first", "second"}
    assert len(study.cells) == 6 * 2 * 2 * 3  # students, datasets, modes, seeds


def test_own_datasets_without_a_teacher_are_a_study_of_scale(tmp_path):
    words = ["data=first,second", own_datasets(tmp_path), "datasets=first", "modes=linear"]
    study = read_study("configs/studies/own.py", [f"--config.{word}" for word in words])
    assert study.ordered and not study.ours
    names = [cell.name for cell in study.cells if cell.seed == 0]
    assert names == [f"{name}-alone/first/linear/seed0" for name in ("first", "second")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "config.data is empty: say --config.data=FOLDER,FOLDER"),
        (["data=first", "datasets=videos"], "config.datasets: videos: no labelled one of data"),
        (["data=nowhere"], "nowhere"),
        (["data=one/first,two/first"], "two folders have one name"),
    ],
)
def test_mistakes_with_own_datasets_are_one_line(words, said, tmp_path):
    given = [f"--config.{word}" for word in (*words, own_datasets(tmp_path))]
    with pytest.raises(UserError, match=said):
        read_study("configs/studies/own.py", given)
