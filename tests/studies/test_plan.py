"""What does a study plan, and what becomes stale when it changes?"""

import json
import re

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import run_config
from surgvista_jax.errors import UserError
from surgvista_jax.studies.cells import RANDOM, Backbone, Data, Pretraining, grid
from surgvista_jax.studies.clips import clips_of
from surgvista_jax.studies.costs import Costs
from surgvista_jax.studies.described import described
from surgvista_jax.studies.layout import CELLS, PRETRAIN
from surgvista_jax.studies.plan import plan
from surgvista_jax.studies.reading import Study, read_study
from surgvista_jax.synthetic.operation import ACTIONS
from tests.support.feature_run import make_dataset
from tests.support.places import ROOT

COMPARISON = "configs/studies/comparison.py"
WEIGHTS = "surgvista videomae videomae2 internvideo umt mvd mae dino augreg endossl endovit".split()


def configs(spec):
    path, _, argument = spec.partition(":")
    return run_config(ROOT / path, argument).to_dict()


def data(name="one", folder="d", **more):
    config = "configs/finetune/cholec80.py"
    return Data(name=name, task="phase", config=config, folder=folder, **more)


def made(name="student", **changes):
    return Pretraining(name=name, config="configs/pretrain/settings.py:B", changes=changes)


def student(**changes):
    return Backbone(name="student", start=made(**changes))


def jobs_of(cells, out):
    return {job.name: job for job in plan(cells, out, configs)}


def digests(cells, out):
    runs = [run for job in plan(cells, out, configs) for run in job.runs]
    return {run.folder: run.definition.digest for run in runs}


def test_what_cells_share_is_one_job_and_comes_first(tmp_path):
    modes = ["linear", "temporal", "full"]
    cells = grid([student()], [data("one"), data("two")], modes, seeds=3)
    jobs = jobs_of(cells, tmp_path)
    assert [name for name in jobs if name.startswith(PRETRAIN)] == ["pretrain/student"]
    assert jobs["pretrain/student"].cells == len(cells) == 18
    assert jobs["features/student/one"].cells == 3  # for the temporal heads of all seeds
    assert jobs["features/student/one"].needs == ("pretrain/student",)
    linear = jobs["cells/student/one/linear"]
    assert [run.cell.seed for run in linear.runs] == [0, 1, 2]
    kept = {word for run in linear.runs for word in run.words if word.startswith("--probe-")}
    assert kept == {f"--probe-features={tmp_path}/probe_features/student/one"}
    place = {name: number for number, name in enumerate(jobs)}
    assert all(place[need] < place[job.name] for job in jobs.values() for need in job.needs)
    assert sum(len(job.runs) for job in jobs.values() if job.stage == CELLS) == len(cells)


def test_each_command_says_what_its_cell_is(tmp_path):
    backbone = Backbone(name="b", start="mvd:w.pth", changes={"model": None, "clip.size": 64})
    (cell,) = grid([backbone], [data()], ["full"], 1, {"full": {"augment.flip": True}})
    (job,) = plan([cell], tmp_path, configs)
    words = set(job.runs[0].words)
    assert words >= {
        "finetune",
        "--config=configs/finetune/cholec80.py",
        f"--workdir={tmp_path}/cells/b/one/full/seed0",
        "--config.init=mvd:w.pth",
        "--config.model=none",
        "--config.clip.size=64",
        "--config.augment.flip=true",
        "--config.mode=full",
        "--config.seed=0",
    }


def test_random_weights_share_no_features(tmp_path):
    """They are others for each seed."""
    cells = grid([Backbone(name=RANDOM, start=RANDOM)], [data()], ["linear", "temporal"], 2)
    jobs = jobs_of(cells, tmp_path)
    assert list(jobs) == ["cells/random/one/linear/seed0", "cells/random/one/linear/seed1"]


def test_a_change_reaches_all_that_follows_from_it_and_nothing_else(tmp_path):
    given = Backbone(name="given", start="mvd:w.pth")
    rows = [data("one"), data("two")]

    def of(rate, one):
        changed = [data("one", changes=one), rows[1]]
        backbones = [student(**{"optim.learning_rate": rate}), given]
        return digests(grid(backbones, changed, ["full", "temporal"], 1), tmp_path)

    before = of(1e-3, {})
    by_rate = {name for name, digest in of(2e-3, {}).items() if digest != before[name]}
    assert by_rate == {name for name in before if "student" in name}
    by_data = {k for k, digest in of(1e-3, {"drop_path": 0.0}).items() if digest != before[k]}
    assert by_data == {"cells/student/one/full/seed0", "cells/given/one/full/seed0"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("teacher.weights", "other.pth"), ("init", "mae:w.pth"), ("data.allow_overlap", True)],
)
def test_what_a_student_learns_from_and_begins_with_reaches_it_and_its_cells(key, value, tmp_path):
    def of(**changes):
        return digests(grid([student(**changes)], [data()], ["full", "temporal"], 1), tmp_path)

    before, after = of(), of(**{key: value})
    assert len(after) == 4 and not set(before.values()) & set(after.values())
    assert of(**{"teacher.weights": "t.pth"}) == of(**{"teacher.weights": "t.pth"})


def test_how_it_is_computed_makes_nothing_stale(tmp_path):
    fast = {"loader.workers": 3, "compute.unroll": False, "checkpoint.save_every": 7}

    def of(changes, folder):
        moved = Data(name="one", task="phase", config="configs/finetune/cholec80.py", folder=folder)
        return digests(
            grid([student(**changes)], [moved], ["full"], 1, {"full": changes}), tmp_path
        )

    assert of({}, "here") == of(fast, "there")


def test_settings_differ_though_only_their_folders_do(tmp_path):
    def of(letter):
        start = Pretraining(name="s", config=f"configs/pretrain/settings.py:{letter}")
        cells = grid([Backbone(name="s", start=start)], [data()], ["full"], 1)
        return digests(cells, tmp_path)["pretrain/s"]

    assert of("A") != of("B")


def test_study_json_names_each_cell_in_order(tmp_path):
    cells = grid(
        [student(), Backbone(name=RANDOM, start=RANDOM)], [data(group="internal")], ["full"], 2
    )
    jobs = plan(cells, tmp_path, configs)
    told = described(Study("s", "A title.", tuple(cells)), jobs, configs)
    assert [row["name"] for row in told["cells"]] == [cell.name for cell in cells]
    first, last = told["cells"][0], told["cells"][-1]
    assert first["pretraining"] == "student" and first["init"] is None and first["teacher"] is True
    assert last["pretraining"] is None and last["init"] == RANDOM and last["teacher"] is None
    assert first["protocol"] == "surgvista-image-level" and first["group"] == "internal"
    assert told["pretrainings"][0]["data"] == ["cholec80", "m2cai16"]


def test_a_dry_run_of_the_whole_comparison_is_at_once(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [f"--config.weights.{name}=w.pth" for name in WEIGHTS]
    assert main(["study", COMPARISON, "--out=s", "--dry-run", "--json", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["jobs"]) == 12 * 13 * 3
    assert not list(tmp_path.iterdir())
    # 50 epochs of 69,075 clips at the 350 a second of an H100, and evaluations at 1,325.
    hours = {job["name"]: job["device_hours"] for job in told["jobs"]}
    assert hours["cells/mvd/cholec80/full/seed0"] == pytest.approx(2.94, abs=0.03)
    assert told["sizes_of_data"]["cholec80"] == "published"
    assert main(["study", COMPARISON, "--out=s", "--dry-run", *words]) == 0
    assert "468 cells, 468 runs in 468 jobs" in capsys.readouterr().out


def test_a_temporal_head_costs_its_operations_on_every_frame_of_each_epoch(tmp_path):
    """0.2 MFLOP a frame: 50 epochs of Cholec80, thrice for the gradients, are a moment."""
    given = Backbone(name="given", start="mvd:w.pth")
    (cell,) = grid([given], [data("cholec80")], ["temporal"], 1)
    cost = Costs(configs, "h100").cell(cell, first=True)
    flop = 2 * (768 * 32 + 8 * 4 * 32**2 + 10 * 32) + 2 * (10 * 32 + 8 * 4 * 32**2 + 10 * 32)
    frames = 50 * 0.8 * 86_344
    trained = 3 * flop * frames / (1082e9 * 350.1)
    assert trained < cost.hours * 3600 < 1.2 * trained
    assert 0 < cost.disk < 2**21


@pytest.mark.parametrize(
    ("task", "words", "frames"),
    [
        ("phase", ("--task=phase", "--videos=16", "--frames=60"), 16 * 60),
        ("phase", ("--videos", "16", "--task", "phase"), 16 * 200),
        ("action", ("--task=action", "--videos=4"), 4 * len(ACTIONS) * 30),
        ("phase", ("--task=phase", "--videos=many"), None),  # the command says what is wrong
    ],
)
def test_what_is_made_has_as_many_frames_as_the_words_say(task, words, frames):
    found = clips_of(Data(name="m", task=task, made_by=words), uniform=False)
    assert (found and found.frames) == frames


def hours_of(config="configs/pretrain/settings.py:A", data=(), **changes):
    start = Pretraining(name="p", config=config, changes=changes, data=data)
    return Costs(configs, "h100").pretraining(start).hours


@pytest.mark.parametrize("letter", "BCDE")
def test_a_student_sees_the_frames_that_its_setting_is_told_to_have(letter):
    """Without those of AutoLaparo that are for selection, as the configuration's table says."""
    file = (ROOT / "configs/pretrain/settings.py").read_text()
    (told,) = re.findall(rf"^    {letter}   .* ([0-9,]+)$", file, re.MULTILINE)
    changes = {"data.root": "nowhere", "budget.batch_size": 1}
    found = hours_of(f"configs/pretrain/settings.py:{letter}", **changes)
    times = int(told.replace(",", "")) / 86_344
    assert found == pytest.approx(times * hours_of(**changes))


def test_a_student_sees_every_frame_of_its_split_wherever_the_dataset_is_named(tmp_path):
    dataset = make_dataset(tmp_path / "mine")
    here = Data(name="mine", task="phase", folder=str(dataset.folder))
    epochs = {"budget.batch_size": 1, "budget.epochs": 1.0}
    training = sum(video.num_frames for video in dataset.part("train").videos)
    per_frame = hours_of(**{"budget.batch_size": 1, "budget.steps": 1, "budget.epochs": None})
    of_training = pytest.approx(per_frame * training)
    assert hours_of(data=(here,), **epochs) == of_training
    assert hours_of(**epochs, **{"data.folder": str(dataset.folder)}) == of_training
    named = {"data.folder": "mine", "data.root": str(tmp_path)}
    assert hours_of(**epochs, **named) == of_training
    total = sum(video.num_frames for video in dataset.videos)
    assert total > training
    assert hours_of(**epochs, **named, **{"data.split": None}) == pytest.approx(per_frame * total)


MISTAKES = {
    "nothing": ("x = 1", "defines no function study"),
    "fails": ("def study(config):\n    return 1 / 0", "line 2: ZeroDivisionError"),
    "no cells": ("def study(config):\n    return []", "returns no cells"),
    "other things": ("def study(config):\n    return [1]", "returns int among its cells"),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_file_that_is_no_study_is_one_line(text, said, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UserError, match=said) as error:
        read_study(str(file))
    assert str(error.value).startswith(str(file))


@pytest.mark.parametrize(
    ("config", "start", "said"),
    [
        ("configs/pretrain/minutes.py", "'mvd:w.pth'", "the data 'd' names configs/pretrain/m"),
        (
            "configs/finetune/cholec80.py",
            "Pretraining(name='p', config='configs/studies/scale.py')",
            "the pretraining 'p' names configs/studies/scale.py, which has no data.folder",
        ),
    ],
    ids=["data", "pretraining"],
)
def test_a_configuration_of_another_program_is_one_line(config, start, said, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "from surgvista_jax.studies.cells import *\n"
        "def study(config):\n"
        f"    d = Data(name='d', task='phase', config='{config}', folder='f')\n"
        f"    return grid([Backbone(name='b', start={start})], [d], ['full'], 1)\n"
    )
    assert main(["study", str(file), f"--out={tmp_path / 's'}", "--dry-run"]) == 1
    assert f"{file}: {said}" in capsys.readouterr().err
    assert main(["study", str(file), f"--out={tmp_path / 's'}"]) == 1
    assert f"{file}: {said}" in capsys.readouterr().err and not (tmp_path / "s").exists()


def test_two_things_of_one_name_are_refused(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from surgvista_jax.studies.cells import *\n"
        "def study(config):\n"
        "    d = Data(name='d', task='phase', config='c.py', folder='f')\n"
        "    b = [Backbone(name='b', start=w) for w in ('one', 'two')]\n"
        "    return [Cell(backbone=x, data=d, mode='full', seed=s) for s, x in enumerate(b)]\n"
    )
    with pytest.raises(UserError, match="two different weights are called b"):
        read_study(str(file))


def test_names_that_are_no_folders_are_refused():
    with pytest.raises(UserError, match="weights '../b'"):
        Backbone(name="../b", start=RANDOM)
