"""Features of every frame: what a row is, that none is computed twice, a head trained on them."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from finetune_run import make_dataset
from tiny_run import finish, make_config, start

from surgvista_jax.data.augment import resize_clip
from surgvista_jax.data.decode import open_frames
from surgvista_jax.data.manifest import read_dataset
from surgvista_jax.models.backbones import make_backbone
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.patches import normalise
from surgvista_jax.weights.loading import load_backbone

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
    finish(start(*words, f"--workdir={folder / 'run'}"))
    return folder / "run"


@pytest.fixture(scope="module")
def features(colours, run):
    out = colours.parent / "features"
    words = ("features", f"--init={run}", f"--dataset={colours}", f"--out={out}", *SETTINGS)
    finish(start(*words, devices=2))
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


def test_only_what_is_lacking_is_computed(colours, run, features):
    kept, gone = features / "video0.npy", features / "video1.npy"
    before, stamp = gone.read_bytes(), kept.stat().st_mtime_ns
    gone.unlink()
    words = ("features", f"--init={run}", f"--dataset={colours}", f"--out={features}", *SETTINGS)
    finish(start(*words, devices=2))
    assert gone.read_bytes() == before and kept.stat().st_mtime_ns == stamp
    said = finish(start(*words, "--pool=class"), code=1)
    assert "no class token" in said
    other = [word for word in words if not word.startswith("--stride")]
    assert "other features are here" in finish(start(*other, "--stride=1"), code=1)


def test_a_temporal_head_trains_on_them(colours, features, tmp_path):
    words = ("finetune", "--config=configs/finetune/mstcn.py", f"--workdir={tmp_path / 'run'}")
    words += ("--config.epochs=2", "--config.model.layers=3", "--config.model.feature_maps=8")
    data = (f"--config.data.folder={colours}", f"--config.data.features={features}")
    finish(start(*words, *data))
    with np.load(tmp_path / "run" / "predictions.npz") as file:
        dataset = read_dataset(colours).split("test")
        labelled = sum(label != -1 for video in dataset.videos for label in video.labels)
        assert len(file["frame"]) == labelled
