"""The made-up datasets: parts, labels of every task, the same again, and one line for a mistake."""

import jax
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands.data_synthetic import CLASSES, write_dataset
from surgvista_jax.config import load_config
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.predictions.npz import read_npz
from surgvista_jax.tasks.finetuning.train import finetune
from surgvista_jax.tasks.programs import program_of
from tests.support.killed_writer import leave_half_written
from tests.support.one_device import all_on_one_device  # noqa: F401

SIZES = {"videos": 4, "frames": 28, "seed": 0, "fps": 5.0, "size": 32}


@pytest.fixture(scope="module", params=CLASSES)
def dataset(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "data"
    write_dataset(folder, request.param, **SIZES)
    return read_dataset(folder)


def test_parts_and_labels(dataset):
    assert dataset.classes == CLASSES[dataset.task]
    assert set(dataset.splits) == {"train", "val", "test"}
    members = [video for ids in dataset.splits.values() for video in ids]
    assert sorted(members) == sorted(video.video for video in dataset.videos)
    assert all(video.num_frames == len(video.labels) == 28 for video in dataset.videos)
    if dataset.task == "action":  # a clip is of one action, and each part has them all
        assert all(len(set(video.labels)) == 1 for video in dataset.videos)
        for split in dataset.splits:
            labels = {video.labels[0] for video in dataset.split(split).videos}
            assert labels == set(range(len(dataset.classes)))


def test_the_same_numbers_give_the_same_dataset(dataset, tmp_path):
    write_dataset(tmp_path / "again", dataset.task, **SIZES)
    again = read_dataset(tmp_path / "again")
    assert [video.labels for video in again.videos] == [video.labels for video in dataset.videos]
    first, second = (
        next((data.folder / "frames").rglob("000010.jpg")).read_bytes() for data in (dataset, again)
    )
    assert first == second


# One for each kind of label: one class, several, criteria.
@pytest.mark.parametrize("dataset", ["phase", "triplet", "cvs"], indirect=True)
def test_its_configuration_trains_on_it(dataset, tmp_path):
    words = [
        f"--config.data.folder={dataset.folder}",
        "--config.budget.steps=2",
        "--config.model.encoder.transformer.width=48",
        "--config.model.encoder.transformer.depth=1",
        "--config.clip.size=32",
        "--config.loader.workers=0",
        "--config.loop.progress=none",
    ]
    spec = f"configs/finetune/synthetic.py:{dataset.task}"
    assert finetune(
        load_config(spec, lambda values: program_of(values).config, words), tmp_path / "run"
    )
    predictions = read_npz(tmp_path / "run" / "predictions.npz", "predictions")
    labelled = sum(
        1 if dataset.task == "action" else sum(label != -1 for label in video.labels)
        for video in dataset.split("test").videos
    )
    assert len(predictions.frame) == labelled
    assert np.isfinite(predictions.score).all()
    jax.clear_caches()


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    with pytest.raises(UserError, match="at least 4"):
        write_dataset(tmp_path / "data", "phase", **SIZES | {"videos": 3})
    out = f"--out={tmp_path / 'data'}"
    words = ["data", "synthetic", "--task=cvs", out]
    assert main([*words, "--fps=0"]) == 1
    assert "--fps 0: must be a number above 0" in capsys.readouterr().err
    assert main([*words, "--videos=4", "--frames=28", "--size=32"]) == 0
    assert "4 videos (2 train, 1 val, 1 test), 112 frames" in capsys.readouterr().out
    assert read_dataset(tmp_path / "data").label_kind == "multi"


def test_what_somebody_else_keeps_beside_the_videos_stays(tmp_path):
    """Also folders by whose names this program writes; what a killed call left goes."""
    out = tmp_path / "data"
    for name in ("videos.partial", ".partial-download"):
        (out / name).mkdir(parents=True)
        (out / name / "operation_00.mp4").write_text("theirs")
    leave_half_written(out / "videos.jsonl")
    (out / "videos.jsonl").write_text("theirs")
    with pytest.raises(UserError, match=r"videos.jsonl: is there already"):
        write_dataset(out, "cvs", **SIZES)
    assert (out / "videos.jsonl").read_text() == "theirs"
    write_dataset(out, "cvs", **SIZES, overwrite=True)
    assert len(read_dataset(out).videos) == 4
    others = sorted(path for path in out.iterdir() if "partial" in path.name)
    assert [path.name for path in others] == [".partial-download", "videos.partial"]
    assert {(path / "operation_00.mp4").read_text() for path in others} == {"theirs"}


@pytest.mark.parametrize(
    "word",
    ["--seed=-1", "--size=100000", "--frames=0", "--fps=inf", "--fps=1e9"],
)
def test_numbers_that_make_no_videos_are_one_line_and_leave_nothing(word, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["data", "synthetic", "--task=cvs", f"--out={out}", "--videos=4", word]) == 1
    option = word.partition("=")[0]
    assert capsys.readouterr().err.startswith(f"surgvista: {option} ") and not out.exists()
