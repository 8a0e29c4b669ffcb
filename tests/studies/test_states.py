"""Is a run of a study told as done when all is there that it leaves, and not before?"""

import functools

import pytest

from surgvista_jax.studies.cells import Backbone, Data, Pretraining, grid
from surgvista_jax.studies.plan import plan
from surgvista_jax.studies.states import as_begun, definition_file, note_definition, state_of
from surgvista_jax.writing import write_json
from tests.studies.test_plan import configs
from tests.support.feature_run import make_dataset, make_features


@pytest.fixture
def study(tmp_path):
    """The dataset, the study's folder, and a run of each kind, begun."""
    dataset = make_dataset(tmp_path / "phases")
    config = "configs/finetune/cholec80.py"
    data = Data(name="phases", task="phase", config=config, folder=str(dataset.folder))
    start = Pretraining(name="student", config="configs/pretrain/cpu.py", data=(data,))
    cells = grid([Backbone(name="student", start=start)], [data], ["temporal", "full"], 1)
    out = tmp_path / "study"
    runs = [run for job in plan(cells, out, configs) for run in job.runs]
    for run in runs:
        note_definition(out, run)
    return dataset, out, {run.folder.partition("/")[0]: run for run in runs}


def test_features_are_done_with_those_of_the_last_video(study):
    dataset, out, runs = study
    run = runs["features"]
    assert state_of(out, run).name == "to do"
    features = make_features(out / run.folder, dataset)
    assert state_of(out, run).name == "done"
    features.path(dataset.videos[-1]).unlink()
    assert state_of(out, run).name == "begun"
    dataset.folder.rename(dataset.folder.with_name("elsewhere"))
    assert state_of(out, run).name == "done"  # as far as can be said, and nothing can be added
    for video in dataset.videos[:-1]:
        features.path(video).unlink()
    assert state_of(out, run).name == "begun"


def test_a_cell_is_done_with_its_report(study):
    _, out, runs = study
    run, folder = runs["cells"], out / runs["cells"].folder
    write_json(folder / "config.json", {"evaluation": {"protocol": "phase-strict"}})
    assert state_of(out, run).name == "begun"
    (folder / "predictions.npz").touch()
    write_json(folder / "result.json", {"score": "accuracy", "test": 0.5})
    assert state_of(out, run).name == "begun"
    write_json(folder / "report" / "report.json", {})
    assert state_of(out, run).name == "done"


@pytest.mark.parametrize("budget", [{"steps": 40}, {"epochs": 0.5}], ids=["steps", "epochs"])
def test_a_student_is_done_with_its_last_checkpoint(study, budget):
    """An epoch is what the videos of training have of clips."""
    dataset, out, runs = study
    run, folder = runs["pretrain"], out / runs["pretrain"].folder
    frames = sum(video.num_frames for video in dataset.split("train").videos)
    last = budget.get("steps") or -(-(frames // 8) // 2)
    values = {
        "budget": {"batch_size": 8, **budget},
        "data": {"folder": str(dataset.folder), "split": "train", "root": ""},
        "clip": {"stride": 1, "slide": 1},
        "model": {"tubelet": 2},
    }
    write_json(folder / "config.json", values)
    (folder / "checkpoints" / str(last - 1)).mkdir(parents=True)
    assert state_of(out, run).name == "begun"
    (folder / "checkpoints" / str(last)).mkdir()
    assert state_of(out, run).name == "done"
    # Where the data are not, by what the run counted, which it writes at its end.
    dataset.folder.rename(dataset.folder.with_name("elsewhere"))
    assert state_of(out, run).name == ("done" if "steps" in budget else "begun")
    write_json(folder / "data_seen.json", {"datasets": [{"name": "phases", "clips": frames}]})
    assert state_of(out, run).name == "done"
    (folder / "checkpoints" / str(last)).rmdir()
    assert state_of(out, run).name == "begun"


def finish(out, run):
    """Leaves what a run leaves, as far as its state is read off it."""
    note_definition(out, run)
    write_json(out / run.folder / "config.json", {"budget": {"batch_size": 1, "steps": 1}})
    write_json(out / run.folder / "result.json", {"score": "accuracy"})
    (out / run.folder / "checkpoints" / "1").mkdir(parents=True)


def of_known_content(weights):
    return {"at": weights, "name": "", "key": "", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("before", "now"), [((1, str), (1.0, str)), ((1, str), (1, of_known_content))]
)
def test_the_same_in_other_words_makes_nothing_stale_nor_what_follows(before, now, tmp_path):
    """A number that is spelled otherwise, and weights whose content was not known at first."""
    data = Data(name="d", task="phase", config="configs/finetune/cholec80.py", folder="nowhere")

    def runs(weight_decay, of_weights):
        changes = {"optim.weight_decay": weight_decay, "teacher.weights": "w.pth"}
        start = Pretraining(name="made", config="configs/pretrain/minutes.py", changes=changes)
        backbones = [Backbone(name="made", start=start), Backbone(name="given", start="w.pth")]
        cells = grid(backbones, [data], ["full"], 1)
        begun = functools.partial(as_begun, tmp_path)
        return [
            run for job in plan(cells, tmp_path, configs, of_weights, begun) for run in job.runs
        ]

    for run in runs(*before):
        finish(tmp_path, run)
    again, other = runs(*now), runs(2, str)
    assert [state_of(tmp_path, run).name for run in again] == ["done"] * 3
    # By these `study.json` names the cells, and the report knows its results.
    assert [x.definition.digest for x in again] == [x.definition.digest for x in runs(*before)]
    assert [state_of(tmp_path, run).name for run in other] == ["stale", "stale", "done"]


@pytest.mark.parametrize("left", ["", '{"command": "fine', "[]"])
def test_what_it_was_begun_as_that_is_damaged_counts_for_a_folder_that_is_there(study, left):
    _, out, runs = study
    run = runs["cells"]
    definition_file(out, run).write_text(left)
    (out / run.folder).mkdir(parents=True)
    assert state_of(out, run).name == "stale"
    (out / run.folder).rmdir()
    assert state_of(out, run).name == "to do"
    note_definition(out, run)
    (out / run.folder).mkdir()
    assert state_of(out, run).name == "begun"
