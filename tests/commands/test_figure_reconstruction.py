"""`surgvista figure reconstruction` and `distillation` draw a clip of a run, or say why not."""

import shutil

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import build, load_config
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.data.storage.mixture import read_folders
from surgvista_jax.figures.reconstruction_sheet import DPI
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.reconstruction import figure_batch, make_caption
from surgvista_jax.tasks.pretraining.saved_student import saved_student
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints
from surgvista_jax.training.rundir import claim


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A folder of two videos, of 9 and 5 frames."""
    folder = tmp_path_factory.mktemp("data set")
    rng, videos = np.random.default_rng(0), []
    for video, num_frames in (("first", 9), ("second", 5)):
        frames = folder / "frames" / video
        frames.mkdir(parents=True)
        for index in range(num_frames):
            picture = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (64, 48))
            cv2.imwrite(str(frames / f"{index:06d}.jpg"), picture)
        videos.append(Video(video, f"frames/{video}", 1.0, num_frames))
    head = {"task": "none", "classes": (), "label_kind": "single", "source_format": "frames"}
    words = {"procedure": "", "licence": "", "citation": ""}
    splits = {"train": ("first",), "test": ("second",), "empty": ()}
    write_dataset(
        Dataset(folder, "tiny", fps=1.0, splits=splits, videos=tuple(videos), **head, **words)
    )
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, dataset):
    """A run whose two checkpoints hold random parameters."""
    folder = tmp_path_factory.mktemp("run")
    config = load_config("configs/pretrain/cpu.py", PretrainConfig).unlock()
    config.data.folder = str(dataset)
    config.clip.update({"num_frames": 4, "stride": 1, "size": 64})
    config.mask.masks_per_clip = 2
    config.model.patch = 16
    for part in ("encoder", "pixel_decoder", "feature_decoder"):
        config.model[part].update({"width": 32, "depth": 1, "heads": 2})
    claim(folder, config, PretrainConfig, "pretraining", ())
    task = make_pretraining(build(PretrainConfig, config))
    params = jax.jit(lambda: nn.unbox(task.init_trained()))()
    with Checkpoints(folder, CheckpointConfig(save_every=1)) as checkpoints:
        for step in (3, 5):
            checkpoints.save(step, params, {"count": jnp.zeros(())}, {})
    return folder


def figure(checkpoint, out, *words):
    return main(
        ["figure", "reconstruction", "--checkpoint", str(checkpoint), "--out", str(out), *words]
    )


def test_the_command_draws_and_tells_the_errors(run_folder, dataset, tmp_path, capsys):
    out = tmp_path / "new folder" / "figure.png"
    words = ["--dataset", str(dataset), "--split", "test", "--denormalise", "both"]
    assert figure(run_folder, out, *words) == 0
    image = cv2.imread(str(out))
    assert image.shape[0] > 2 * 6 * 1.2 * DPI  # two clips of six rows
    told = capsys.readouterr()
    assert str(out) in told.out and "step 5" in told.out and not told.err
    assert 0.9 < float(told.out.split()[-1]) < 1  # the variance of normalised pixels


def test_a_checkpoint_is_found_from_each_of_its_folders(run_folder, tmp_path, capsys):
    folders = run_folder, run_folder / "checkpoints", run_folder / "checkpoints" / "3"
    words = ["--video", "first", "--frame", "4"]
    steps = []
    for number, folder in enumerate(folders):
        assert figure(folder, tmp_path / f"{number}.png", *words) == 0
        steps.append(capsys.readouterr().out.split("step ")[1].split(",")[0])
    assert steps == ["5", "5", "3"]
    images = [cv2.imread(str(tmp_path / f"{number}.png")) for number in range(3)]
    np.testing.assert_array_equal(images[0], images[1])
    assert images[0].shape[0] < 1.5 * 4 * 1.2 * DPI  # one clip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--video", "third"], "no video 'third'"),
        (["--frame", "4"], "of which video"),
        (["--video", "first", "--frame", "9"], "frames 0 to 8"),
        (["--split", "val"], "no split 'val'"),
        (["--split", "empty"], "no frames"),
        (["--dataset", "nowhere"], "nowhere: no such folder"),
        (["--clips", "0"], "--clips=0"),
        (["--seed", "-1"], "--seed=-1"),
        (["--out", "figure.jpg"], "figure.jpg"),
        (["--checkpoint", "nowhere"], "no checkpoint here"),
    ],
)
def test_mistakes_are_told_in_one_line(run_folder, tmp_path, capsys, words, message):
    assert figure(run_folder, tmp_path / "figure.png", *words) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_no_figure_is_drawn_of_a_clip_that_is_not_there(run_folder, dataset, tmp_path, capsys):
    gone = shutil.copytree(dataset, tmp_path / "data")
    for path in gone.glob("frames/second/*"):
        path.unlink()
    out = tmp_path / "figure.png"
    assert figure(run_folder, out, "--dataset", str(gone), "--split", "test") == 1
    error = capsys.readouterr().err
    assert "of second can be read" in error and error.count("\n") == 1 and not out.exists()


def test_a_step_that_is_not_there(run_folder, tmp_path, capsys):
    assert figure(run_folder / "checkpoints" / "4", tmp_path / "figure.png") == 1
    assert "no checkpoint of step 4 here; there are steps 3, 5" in capsys.readouterr().err


def test_a_checkpoint_without_its_configuration(run_folder, tmp_path, capsys):
    (tmp_path / "checkpoints").symlink_to(run_folder / "checkpoints")
    assert figure(tmp_path, tmp_path / "figure.png") == 1
    assert str(tmp_path / "config.json") in capsys.readouterr().err


def test_a_caption_names_the_folders_of_the_datasets(run_folder, dataset, tmp_path):
    """Datasets of one's own are all called `videos`."""
    student = saved_student(run_folder)
    folders = []
    for name in ("one", "two"):
        shutil.copytree(dataset, tmp_path / name)
        folders.append(str(tmp_path / name))
    mixed = read_folders(",".join(folders), None)
    batch = figure_batch(mixed, student.task, clips=1, seed=0)
    assert make_caption(mixed, student.task, batch, 1).dataset.startswith("one + two (")


def test_one_clip_is_rebuilt_by_both(run_folder, dataset, tmp_path, capsys):
    runs = [str(run_folder / "checkpoints" / step) for step in "53"]
    words = ["figure", "distillation", "--video", "first", "--frame", "6"]
    for name in "ab":
        assert main([*words, *runs, "--out", str(tmp_path / f"{name}.pdf")]) == 0
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    out = ["--out", str(tmp_path / "c.pdf")]
    capsys.readouterr()
    for wrong, message in (
        (runs[:1], "is no study"),
        ([*runs, runs[0]], "two runs are drawn"),
        (["nowhere", runs[0]], "no checkpoint here"),
    ):
        assert main([*words, *wrong, *out]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
