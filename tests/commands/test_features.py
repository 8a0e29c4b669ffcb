"""Features of every frame: what a row is, that none is computed twice, a head trained on them."""

import json
import os
import socket

import jax.numpy as jnp
import numpy as np
import pytest

import surgvista_jax
from surgvista_jax.__main__ import main
from surgvista_jax.data.batches.crop import resize_clip
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.models.backbones import make_backbone
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.patches import normalise
from surgvista_jax.weights.loading import load_backbone
from tests.support import finetune_run
from tests.support.finetune_run import make_dataset
from tests.support.footage import cut, index_first, write_video
from tests.support.one_device import on_one_device
from tests.support.same_run import assert_same_run
from tests.support.tiny_run import finish_all, make_config, start

SETTINGS = ("--num-frames=4", "--stride=2", "--size=32", "--dtype=float32", "--batch-size=8")


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("features") / "data")


@pytest.fixture(scope="module")
def run(colours):
    """A pretraining run of four steps."""
    folder = colours.parent
    config = make_config(folder / "config.py", colours)
    words = ("pretrain", f"--config={config}:none", "--config.budget.steps=4")
    with on_one_device():
        assert main([*words, f"--workdir={folder / 'run'}"]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def features(colours, run):
    out = colours.parent / "features"
    words = ["features", f"--init={run}", f"--dataset={colours}", f"--out={out}", *SETTINGS]
    assert main(words) == 0
    return out


def test_a_row_is_what_the_backbone_says_of_the_clip_that_ends_there(colours, run, features):
    dataset = read_dataset(colours)
    header = json.loads((features / "features.json").read_text())
    assert (header["dataset"], header["width"], header["clip_frames"]) == ("colours", 32, 4)
    model, variables, _ = load_backbone(str(run))
    backbone = make_backbone(model, ComputeConfig(dtype="float32"), model.grid(4, 32, 32))
    for video in dataset.videos[:2]:
        rows = np.load(features / f"{video.video}.npy")
        assert rows.shape == (video.num_frames, 32)
        frames, _ = open_frames(colours, video).read(np.array([1, 3, 5, 7]))
        small = np.empty((4, 32, 32, 3), np.uint8)
        resize_clip(frames, small)
        pixels = normalise(jnp.asarray(small)[None], jnp.dtype("float32"))
        wanted = backbone.apply(variables, pixels, False).mean(1)[0]
        np.testing.assert_allclose(rows[7], wanted, rtol=1e-4, atol=1e-5)


def test_only_what_is_lacking_is_computed(colours, run, features, capsys):
    kept, gone = features / "video0.npy", features / "video1.npy"
    before, stamp = gone.read_bytes(), kept.stat().st_mtime_ns
    gone.unlink()
    words = ["features", f"--init={run}", f"--dataset={colours}", f"--out={features}", *SETTINGS]
    assert main(words) == 0
    assert gone.read_bytes() == before and kept.stat().st_mtime_ns == stamp
    for other, said in (
        ("--pool=class", "--pool=class: this model has no class token"),
        ("--stride=1", "other features are here"),
    ):
        assert main([*words, other]) == 1
        assert said in capsys.readouterr().err


def test_a_temporal_head_trains_on_them(colours, features, tmp_path):
    words = ("finetune", "--config=configs/finetune/mstcn.py", f"--workdir={tmp_path / 'run'}")
    words += ("--config.epochs=2", "--config.model.layers=3", "--config.model.feature_maps=8")
    data = (f"--config.data.folder={colours}", f"--config.data.features={features}")
    assert main([*words, *data]) == 0
    with np.load(tmp_path / "run" / "predictions.npz") as file:
        dataset = read_dataset(colours).split("test")
        labelled = sum(label != -1 for video in dataset.videos for label in video.labels)
        assert len(file["frame"]) == labelled


def test_video_files_have_rows_without_any_frame_being_kept(run, tmp_path, capsys, monkeypatch):
    """As `Model.features` says of their clips; one that breaks off up to there; none twice."""
    whole = write_video(tmp_path / "videos" / "whole.mp4", num_frames=80)
    torn = cut(index_first(write_video(tmp_path / "videos" / "torn.mp4", num_frames=100)), 0.6)
    (tmp_path / "videos" / "empty.mp4").touch()
    out = tmp_path / "out"
    words = ["features", str(whole.parent), f"--init={run}", f"--out={out}", "--dtype=float32"]
    words += ["--fps=5", "--stride=2", "--batch-size=8"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert f"{torn}: its header promises 100 frames, " in said.err and "empty.mp4" in said.err
    assert "features of 2 videos" in said.out
    assert sorted(path.name for path in out.iterdir() if path.suffix) == [
        "features.json",
        "torn.npy",
        "whole.npy",
    ]
    model = surgvista_jax.load(str(run), dtype="float32", fps=5.0, stride=2)
    wanted = model.features(model.clips(whole), batch_size=8)
    rows = np.load(out / "whole.npy")
    assert rows.shape == wanted.shape == (16, 32) and 5 < len(np.load(out / "torn.npy")) < 20
    np.testing.assert_allclose(rows, wanted, rtol=1e-4, atol=1e-5)

    young, before = (out / "whole.npy").stat().st_mtime_ns, (out / "torn.npy").read_bytes()
    assert main([*words[:1], str(whole), str(torn), *words[2:]]) == 1
    assert f"{torn}: its header promises" in capsys.readouterr().err  # it is told again
    assert (out / "whole.npy").stat().st_mtime_ns == young
    assert (out / "torn.npy").read_bytes() == before
    os.utime(whole, ns=(young + 1, young + 1))  # another video, as it may be
    assert main([*words[:1], str(whole), *words[2:]]) == 0
    assert (out / "whole.npy").stat().st_mtime_ns > young
    for options, told in (
        (["--margins=cut"], "other features are here: model was"),
        ([f"--dataset={tmp_path}"], "VIDEO and --dataset: say one of them"),
        (["--fps=inf"], "--fps=inf: should be above 0"),
        (["--fps=50"], "whole: left out: has 25 frames a second, where"),
        (["--split=train"], "--split: is for a dataset folder"),
    ):
        place = tmp_path / "other" if "fps" in options[0] else out
        assert main([*words[:1], str(whole), *words[2:], f"--out={place}", *options]) == 1
        assert told in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fps=5"], "--fps: is of video files"),
        (["--init="], "--init: is empty"),
        (["--init=random"], "--init=random: a weights file"),
        (["--num-frames=3"], "--num-frames or --size: 3x32x32 video does not divide"),
        (["--size=40"], "--num-frames or --size"),
        (["--batch-size=12"], "--batch-size=12 cannot be shared"),
        (["--workers=-1"], "--workers=-1: should be a whole number"),
        (["--fsdp=3"], "--fsdp=3: should divide the 8 devices here"),
        (["--stride=0"], "--stride 0: at least 1"),
        (["--max-unreadable-share=2"], "--max-unreadable-share 2: should be from 0 to 1"),
    ],
)
def test_a_mistake_names_the_option(colours, run, tmp_path, capsys, words, said):
    out = tmp_path / "out"
    given = ("features", f"--init={run}", f"--dataset={colours}", f"--out={out}", *SETTINGS)
    assert main([*given, *words]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("surgvista: ") and said in error and "config." not in error
    assert not out.exists()


ALL = """
import argparse, sys
from surgvista_jax.__main__ import main
from surgvista_jax.training import processes

parser = argparse.ArgumentParser(allow_abbrev=False)
processes.add_arguments(parser)
group, words = parser.parse_known_args()
second, third = words.index("finetune"), words.index("pretrain")
with processes.joined(group, {}):
    for each in (words[:second], words[second:third], words[third:]):
        if status := main(each):
            sys.exit(status)
"""


def test_two_processes_give_each_row_once_and_train(colours, run, features, tmp_path):
    """Features and pretraining by a mesh of 2,2,1, a linear probe by one of 1,2,2 (alone 2,2,2)."""
    config = finetune_run.make_config(tmp_path / "config.py", colours)
    probing = ["mode=linear", f"init={run}", "model=none", "probe.epochs=5"]
    probing += ["evaluation.protocol=", "probe.learning_rates=1e-2"]
    probing += ["mesh.fsdp=2", "mesh.model=2"]
    assert finetune_run.run(config, tmp_path / "alone", *probing)

    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    out, workdir, trained = (tmp_path / name for name in ("features", "together", "trained"))
    first = ["features", f"--init={run}", f"--dataset={colours}", f"--out={out}", "--fsdp=2"]
    first += SETTINGS
    group = [f"--coordinator={address}", "--num-processes=2"]
    second = ["finetune", f"--config={config}", f"--workdir={workdir}"]
    second += [f"--config.{word}" for word in probing]
    third = ["pretrain", f"--config={colours.parent / 'config.py'}:none", f"--workdir={trained}"]
    third += ["--config.budget.steps=4", "--config.mesh.data=2", "--config.mesh.fsdp=2"]
    words = [*first, *second, *third]
    both = [
        start(*group, f"--process-id={number}", *words, devices=2, program=["-c", ALL])
        for number in range(2)
    ]
    finish_all(both, seconds=300)
    names = {path.name for path in features.iterdir()}
    assert {path.name for path in out.iterdir()} == names and len(names) == 1 + 9
    for video in read_dataset(colours).videos:
        rows, wanted = (np.load(folder / f"{video.video}.npy") for folder in (out, features))
        np.testing.assert_array_equal(rows, wanted)
    found, wanted = (finetune_run.predictions(tmp_path / name) for name in ("together", "alone"))
    assert len(set(zip(found["video"], found["frame"], strict=True))) == len(found["frame"]) == 18
    for key in ("video", "frame", "label"):
        np.testing.assert_array_equal(found[key], wanted[key])
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-3, atol=1e-5)
    assert_same_run(trained, run)
