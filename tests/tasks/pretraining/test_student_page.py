"""A page of unlabelled videos shows what a student rebuilds of them, and its features."""

import base64

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from surgvista_jax.config import build, load_config
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.student_page import MOMENTS, write_student_pages
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints
from surgvista_jax.training.rundir import claim
from tests.support.made_operation import data_of
from tests.support.tiny_run import make_config, make_dataset


def test_each_video_has_a_page_with_what_is_seen_rebuilt_and_told_apart(tmp_path):
    folder = make_dataset(tmp_path / "data")
    spec = f"{make_config(tmp_path / 'config.py', folder)}:none"
    config = load_config(spec, PretrainConfig)
    claim(tmp_path / "run", config, PretrainConfig, "pretraining", ())
    task = make_pretraining(build(PretrainConfig, config))
    params = jax.jit(lambda: nn.unbox(task.init_trained()))()
    with Checkpoints(tmp_path / "run", CheckpointConfig(save_every=1)) as checkpoints:
        checkpoints.save(3, params, {"count": jnp.zeros(())}, {"fps": 1.0})

    dataset = read_dataset(folder)
    first = write_student_pages(tmp_path / "run", 3, dataset, tmp_path / "pages")
    assert first == tmp_path / "pages" / "index.html"
    for video in dataset.videos:
        data = data_of((first.parent / f"{video.video}.html").read_text())
        assert data["classes"] == [] and "step 3" in data["said"]["name"]
        sees, rebuilds, features = data["lanes"]
        assert "50% hidden" in sees["title"] and features["note"]
        # Of so few frames each ends one clip, from the first that needs no frame twice.
        seconds = sees["seconds"]
        assert len(seconds) <= min(MOMENTS, video.num_frames)
        assert seconds == sorted(set(seconds)) and seconds[-1] == video.num_frames - 1
        assert rebuilds["seconds"] == features["seconds"] == seconds
        pictures = [_decoded(lane["images"][-1]) for lane in data["lanes"]]
        assert {picture.shape for picture in pictures} == {(128, 128, 3)}
        hidden = np.abs(pictures[0].astype(int) - 140).max(-1) < 12  # grey
        assert 0.3 < hidden.mean() < 0.7
        assert np.abs(pictures[1].astype(int) - pictures[0])[~hidden].mean() < 6
        assert len(data["film"]["images"]) == video.num_frames


def _decoded(image: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(base64.b64decode(image), np.uint8), cv2.IMREAD_COLOR)
