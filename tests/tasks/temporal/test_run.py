"""A temporal run learns, chooses its epoch without the test, and goes on as if never stopped."""

import itertools
import json
import shutil
import signal
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import load_config
from surgvista_jax.data.batches.sequences import pad_sequence
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.predictions.npz import read_npz, write_npz
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.tasks import programs
from surgvista_jax.tasks.selection import read_evaluations
from surgvista_jax.tasks.temporal import train
from surgvista_jax.tasks.temporal.config import TemporalConfig
from surgvista_jax.tasks.temporal.task import TemporalTask
from surgvista_jax.training.checkpoint import restore_params
from tests.support import device_memory, feature_run
from tests.support.fake_trackers import FakeWandb
from tests.support.finetune_run import result
from tests.support.watched_places import watched_places

CONFIG = """
from ml_collections import ConfigDict

def get_config():
    return ConfigDict({
        "data": {"folder": "", "features": ""},
        "model": {"stages": 2, "layers": 4, "feature_maps": 16, "dropout": 0.2},
        "epochs": 4, "learning_rate": 2e-2, "pad_to": 160, "progress": "none",
    })
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset, also with other test labels and without `val`; features; a configuration."""
    folder = tmp_path_factory.mktemp("temporal")
    dataset = feature_run.make_dataset(folder / "dataset")
    feature_run.make_features(folder / "features", dataset)
    tested = set(dataset.splits["test"])
    feature_run.make_dataset(
        folder / "relabelled",
        relabel=lambda video, labels: np.where(labels < 0, -1, 0) if video in tested else labels,
    )
    feature_run.make_dataset(folder / "without_val", {"train": range(8), "test": (8, 9)})
    (folder / "config.py").write_text(CONFIG)
    return folder


def make_config(folder: Path, *overrides: str, dataset: str = "dataset"):
    words = [f"data.folder={folder / dataset}", f"data.features={folder / 'features'}", *overrides]
    return load_config(
        str(folder / "config.py"), TemporalConfig, [f"--config.{word}" for word in words]
    )


def read(workdir: Path):
    return read_npz(workdir / PREDICTIONS, "predictions")


def losses(workdir: Path) -> list[tuple[int, float]]:
    """Step and loss of each line of metrics."""
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], line["loss"]) for line in lines]


def scores(workdir: Path) -> list[float]:
    return [line["score"] for line in read_evaluations(workdir)]


@pytest.fixture(scope="module")
def whole(folder):
    workdir = folder / "whole"
    with device_memory.known():
        assert train.train_temporal(make_config(folder), workdir)
    return workdir


def evaluated(path: Path, capsys) -> dict[str, float]:
    """What `surgvista evaluate` says of predictions."""
    assert not main(["evaluate", str(path), "--protocol=phase-strict", "--json", "--samples=20"])
    told = json.loads(capsys.readouterr().out)["scores"]
    return {score["key"]: score["value"] for score in told}


def test_phases_of_unseen_videos_are_recognised_from_their_context(folder, whole, tmp_path, capsys):
    """Better than by single frames, of which each is taken for the phase whose mean is nearest."""
    dataset = read_dataset(folder / "dataset")
    training, test = (
        train.read_sequences(train.open_features(folder / "features"), dataset.split(name))
        for name in ("train", "test")
    )
    rows, labels = (
        [np.concatenate([getattr(video, name) for video in part]) for part in (training, test)]
        for name in ("features", "labels")
    )
    means = [rows[0][labels[0] == phase].mean(0) for phase in range(feature_run.NUM_CLASSES)]
    distance = np.linalg.norm(rows[1][:, None] - np.array(means)[None], axis=2)
    found, known = read(whole), labels[1] >= 0
    score = np.exp(-distance[known])
    write_npz(
        tmp_path / "frames.npz",
        video=np.array(found.videos)[found.video_index],
        frame=found.frame,
        score=score / score.sum(1, keepdims=True),
        label=labels[1][known],
        meta={"task": "phase", "classes": dataset.classes, "fps": 1.0},
    )
    frames, context = (
        evaluated(path, capsys) for path in (tmp_path / "frames.npz", whole / PREDICTIONS)
    )
    assert frames["accuracy"] < 0.85 and context["accuracy"] >= 0.9
    assert context["jaccard"] > frames["jaccard"] + 0.1


def test_predictions_hold_every_labelled_test_frame_once(folder, whole):
    predictions = read(whole)
    assert predictions.videos == ("video8", "video9")
    dataset = read_dataset(folder / "dataset").split("test")
    for number, video in enumerate(dataset.videos):
        rows = predictions.rows(number)
        labelled = [at for at, label in enumerate(video.labels) if label >= 0]
        assert list(predictions.frame[rows]) == labelled
        assert list(predictions.label[rows]) == [video.labels[at] for at in labelled]
    np.testing.assert_allclose(predictions.score.sum(1), 1, rtol=1e-5)
    assert predictions.classes == dataset.classes and predictions.fps == 1.0
    assert predictions.meta["selected_on"] == "val" and predictions.meta["split"] == "test"
    # What finetuning says of its predictions, too: where the data are from and what they may.
    assert predictions.meta["label_kind"] == "single" and predictions.meta["seed"] == 0
    assert predictions.meta["sources"][0]["what"].startswith("data: phases (6 videos")
    assert predictions.meta["model"] == "MS-TCN on a made-up backbone"


def test_the_best_epoch_is_the_first_with_the_highest_accuracy(whole):
    assert [step for step, _ in losses(whole)] == [6, 12, 18, 24]
    assert len(scores(whole)) == 4
    found = result(whole)
    assert found["step"] == 6 * (1 + int(np.argmax(scores(whole)))) == read(whole).meta["step"]
    assert found["score"] == "accuracy" and found["selected_on"] == "val"
    assert found["selection"] == max(scores(whole))
    assert (found["selection_from"], found["selection_videos"]) == ("val", 2)
    predictions = read(whole)
    assert found["test"] == (predictions.score.argmax(1) == predictions.label).mean()
    assert found["clips"] == len(predictions.label)


def test_the_best_parameters_make_the_predictions(folder, whole):
    config = train.build(TemporalConfig, make_config(folder))
    dataset = read_dataset(folder / "dataset").split("test")
    test = train.read_sequences(train.open_features(folder / "features"), dataset)
    task = TemporalTask(config, test, feature_run.NUM_CLASSES, feature_run.WIDTH)
    outputs = task.predict(restore_params(whole / "best"), test)
    np.testing.assert_allclose(outputs.values, read(whole).score, atol=1e-6)


def test_test_labels_change_nothing_that_is_learned(folder, whole, tmp_path):
    train.train_temporal(make_config(folder, dataset="relabelled"), tmp_path)
    assert (read(tmp_path).label == 0).all()
    np.testing.assert_array_equal(read(tmp_path).score, read(whole).score)
    assert losses(tmp_path) == losses(whole)


def test_select_on_test_lets_test_labels_choose_and_says_so(folder, whole, tmp_path):
    words = ("select_on=test", "evaluation.protocol=phase-strict")
    assert train.train_temporal(make_config(folder, *words, dataset="relabelled"), tmp_path)
    assert losses(tmp_path) == losses(whole)
    assert all(ours != theirs for ours, theirs in zip(scores(tmp_path), scores(whole), strict=True))
    assert read(tmp_path).meta["selected_on"] == result(tmp_path)["selected_on"] == "test"
    assert "SELECTED ON TEST" in (tmp_path / "report" / "report.md").read_text()


def test_without_a_validation_split_training_videos_are_held_out(folder, tmp_path, capsys):
    config = make_config(folder, "epochs=1", "progress=lines", dataset="without_val")
    assert train.train_temporal(config, tmp_path)
    said = capsys.readouterr()
    assert "train on 6 videos, select on 2 (held-out train), test on 2" in said.err
    assert "step 6/6" in said.err
    assert result(tmp_path)["selection_from"] == "held-out train"
    assert "held-out train, at step 6; test accuracy" in said.out and PREDICTIONS in said.out


def test_the_last_epoch_where_nothing_is_to_choose(folder, whole, tmp_path):
    assert train.train_temporal(make_config(folder, "select_on=last"), tmp_path)
    assert losses(tmp_path) == losses(whole)
    assert read_evaluations(tmp_path) == [{"step": 24, "score": None}]
    found = result(tmp_path)
    assert (found["step"], found["selected_on"]) == (24, "last") and "selection" not in found


def test_several_seeds_are_runs_of_their_own(folder, whole, tmp_path, capsys):
    words = ("seeds=2", "evaluation.protocol=phase-strict", "epochs=1")
    assert programs.run(make_config(folder, *words), tmp_path)
    values = [result(tmp_path / f"seed{seed}")["test"] for seed in range(2)]
    assert result(tmp_path)["test"]["values"] == values
    assert losses(tmp_path / "seed0") == losses(whole)[:1] != losses(tmp_path / "seed1")
    said = capsys.readouterr().out
    assert f"test accuracy {np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}" in said
    assert said.count("Main scores") == 1 and "mean ± std of 2 runs" in said
    assert [said.count(f"seed{seed}/report/report.html") for seed in range(2)] == [1, 1]
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["system"]["name"] == f"{tmp_path.name} (MS-TCN)"


@pytest.fixture(scope="module")
def untested(folder):
    """An epoch with weights of classes and without a test split."""
    workdir = folder / "untested"
    words = ("epochs=1", "data.test=", "class_weights=median_frequency")
    assert train.train_temporal(make_config(folder, *words), workdir)
    return workdir


def test_without_a_test_split_there_are_no_predictions(untested):
    assert "test" not in result(untested) and result(untested)["step"] == 6
    assert not (untested / PREDICTIONS).exists()


def test_class_weights_change_the_loss(whole, untested):
    assert losses(untested)[0] != losses(whole)[0]


def interrupt(monkeypatch, at: int, act) -> None:
    """Has `act` called as the sequence number `at` (from 1) is padded."""
    calls = itertools.count(1)

    def interrupted(*arguments):
        if next(calls) == at:
            act()
        return pad_sequence(*arguments)

    monkeypatch.setattr(train, "pad_sequence", interrupted)


@pytest.fixture(scope="module")
def stopped(folder):
    """A run that was told to stop twice, each time within an epoch."""
    workdir = folder / "stopped"
    for at in (4, 9):
        with pytest.MonkeyPatch.context() as patched:
            interrupt(patched, at, lambda: signal.raise_signal(signal.SIGTERM))
            assert not train.train_temporal(make_config(folder), workdir)
        assert not (workdir / PREDICTIONS).exists()
    steps = {int(path.name) for path in (workdir / "checkpoints").iterdir()}
    assert any(step % 6 for step in steps) and max(steps) < 24
    return workdir


def test_a_stopped_run_goes_on_to_the_same_end(folder, whole, stopped, tmp_path):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    assert train.train_temporal(make_config(folder), tmp_path)
    assert result(tmp_path) == result(whole)
    assert read_evaluations(tmp_path) == read_evaluations(whole)
    assert losses(tmp_path) == losses(whole)
    np.testing.assert_array_equal(read(tmp_path).score, read(whole).score)
    ours, theirs = (restore_params(workdir / "best") for workdir in (tmp_path, whole))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_a_killed_run_goes_on_from_the_last_epoch(folder, whole, tmp_path, monkeypatch):
    def kill():
        raise KeyboardInterrupt

    tracker, config = FakeWandb(), make_config(folder, "tracking=wandb")
    with monkeypatch.context() as patched:
        interrupt(patched, 16, kill)
        patched.setitem(sys.modules, "wandb", tracker)
        with pytest.raises(KeyboardInterrupt):
            train.train_temporal(config, tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", tracker)
    assert train.train_temporal(config, tmp_path)
    ((tracked,),) = tracker.runs.values()
    rows = [(row["step"], row["loss"]) for row in tracked["rows"] if "loss" in row]
    assert rows == losses(tmp_path) and tracked["end"] == 0
    evaluated = [row["evaluated_step"] for row in tracked["rows"] if "selection_accuracy" in row]
    assert evaluated == [6, 12, 18, 24]
    assert result(tmp_path) == result(whole)
    np.testing.assert_array_equal(read(tmp_path).score, read(whole).score)


def test_a_run_of_an_earlier_version_says_that_its_last_digits_may_differ(
    folder, stopped, tmp_path, monkeypatch, capsys
):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    step = max(int(path.name) for path in (tmp_path / "checkpoints").iterdir())
    file = tmp_path / "checkpoints" / str(step) / "meta" / "metadata"
    meta = json.loads(file.read_text())
    del meta["window"]
    file.write_text(json.dumps(meta))
    shutil.rmtree(tmp_path / "checkpoints" / str(step) / "digests")  # it had none
    interrupt(monkeypatch, 1, lambda: signal.raise_signal(signal.SIGTERM))
    assert not train.train_temporal(make_config(folder), tmp_path)
    said = capsys.readouterr().err
    assert f"continuing from step {step} of 24; an earlier version began it" in said


def test_a_finished_run_writes_lost_predictions_again(folder, whole, capsys):
    score, found = read(whole).score, result(whole)
    (whole / PREDICTIONS).unlink()
    with watched_places() as places:
        assert train.train_temporal(make_config(folder), whole)
    assert places[-1][1:3] == ("evaluating the test videos", 2)
    np.testing.assert_array_equal(read(whole).score, score)
    assert result(whole) == found
    (end,) = (x for x in capsys.readouterr().err.splitlines() if x.startswith("done: "))
    assert f"predictions {whole / PREDICTIONS}" in end
    assert end.endswith(f"surgvista predict VIDEO --checkpoint={whole} --out=PREDICTIONS")


def test_other_features_do_not_continue_a_run(folder, whole, tmp_path):
    dataset = read_dataset(folder / "dataset")
    other = train.open_features(feature_run.make_features(tmp_path / "f", dataset).folder)
    path = other.folder / "features.json"
    values = json.loads(path.read_text()) | {"weights": "1" * 64}
    path.write_text(json.dumps({key: values[key] for key in values if key != "crc32"}))
    with pytest.raises(UserError, match="was trained with another features"):
        train.train_temporal(make_config(folder, f"data.features={other.folder}"), whole)
    with pytest.raises(UserError, match="learning_rate was 0.02"):
        train.train_temporal(make_config(folder, "learning_rate=1e-3"), whole)


def test_a_loss_that_is_not_finite_ends_the_run(folder, tmp_path):
    with pytest.raises(UserError, match="not finite; .* a lower learning rate"):
        train.train_temporal(make_config(folder, "learning_rate=1e30", "epochs=1"), tmp_path)
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data.folder=", "config.data.folder is empty"),
        ("data.features=", "config.data.features is empty"),
        ("data.features=nowhere", "nowhere/features.json: missing"),
        ("data.test=final", "no split 'final'"),
        ("select_on=luck", "select_on='luck': should be one of val, test, last"),
        ("mode=full", "mode='full'"),
        ("class_weights=some", "class_weights='some'"),
        ("model.stages=0", "config.model.stages=0: should be"),
        ("epochs=0", "config.epochs=0: should be"),
        ("evaluation.score=triplet_ap_cholect50", "does not fit labels of kind single"),
        (
            "evaluation.protocol=cholec80-strict",
            "the dataset has 4 classes .*cholec80-strict has 7",
        ),
        ("learning_rate=0", "config.learning_rate=0.0: should be above 0"),
    ],
)
def test_mistakes_are_named(folder, tmp_path, word, message):
    with pytest.raises(UserError, match=message):
        train.train_temporal(make_config(folder, word), tmp_path)


@pytest.mark.parametrize("dataset", ["cholec80", "cataracts"])
def test_the_published_recipes_are_configurations(dataset):
    config = load_config(f"configs/finetune/mstcn.py:{dataset}", TemporalConfig)
    built = train.build(TemporalConfig, config)
    assert built.model.causal and built.model.stages == 2
    assert (built.class_weights == "median_frequency") == (dataset == "cholec80")


def test_an_unknown_recipe():
    with pytest.raises(UserError, match="the recipes are cholec80, m2cai16"):
        load_config("configs/finetune/mstcn.py:endoscapes", TemporalConfig)


def test_the_command_line_says_that_a_run_was_stopped(tmp_path, monkeypatch):
    stopped = programs.Program(TemporalConfig, lambda config, workdir, **options: False)
    monkeypatch.setitem(programs._BY_MODE, "temporal", stopped)
    file = tmp_path / "config.py"
    file.write_text(CONFIG.replace('"data"', '"mode": "temporal", "data"'))
    words = [f"--config={file}", f"--workdir={tmp_path}"]
    assert main(["finetune", *words]) == 128 + signal.SIGTERM
    assert main(["finetune", *words, "--config.mode=full"]) == 1  # and no traceback
