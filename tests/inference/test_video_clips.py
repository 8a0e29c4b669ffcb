"""Do the clips of a video file, and its frames one by one, give what `predict` gives of it?"""

import cv2
import jax
import numpy as np
import pytest

import surgvista_jax
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.frame_readers import FileReader
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.conversion.streaming import Job, events
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.inference import clip_batches
from surgvista_jax.inference.moments import of_recordings
from surgvista_jax.inference.remarks import Remarks
from surgvista_jax.inference.streaming import StreamingPredictor
from surgvista_jax.inference.trained import load_classifier
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.training.partition import MeshConfig, make_mesh
from tests.support import weight_files
from tests.support.footage import set_avi_length, write_video

FPS = 2.0
TOLD = {"num_frames": 4, "stride": 2, "size": 8, "fps": FPS, "classes": ("a", "b", "c", "d", "e")}
SIZE = (450, 330)  # larger than what is kept of a picture


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Eleven moments of pictures so fine that it matters how they are reduced."""
    path = tmp_path_factory.mktemp("video") / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE)
    rng = np.random.default_rng(0)
    for _ in range(55):
        light = rng.integers(0, 200)  # else all would be one grey once they are reduced
        writer.write(rng.integers(light, light + 56, (*SIZE[::-1], 3), np.uint8))
    writer.release()
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "head.npz"
    weight_files.write_tiny("surgvista_finetuned", path)
    return f"surgvista_finetuned:{path}"


@pytest.fixture(scope="module")
def trained(weights):
    return load_classifier(weights, TOLD, weight_files.HEADS, ComputeConfig(dtype="float32"))


@pytest.fixture(scope="module")
def model(weights):
    return surgvista_jax.load(weights, heads=weight_files.HEADS, dtype="float32", **TOLD)


class InProcess(list):
    """The events of videos, as `stream` gives them, without processes."""

    def __init__(self, sources, reading, threads=None):
        super().__init__((n, e) for n, s in enumerate(sources) for e in events(Job(s, reading, 1)))

    def close(self):
        pass


@pytest.fixture(scope="module")
def predicted(trained, video):
    """The rows of `predict`."""
    source = SourceVideo(video.name, "v", video, False, 0)
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_batches, "stream", InProcess)
        (found,) = of_recordings(trained, [source], ExtractConfig(FPS), Remarks(), mesh, 4)
    assert found.outputs.frame.tolist() == list(range(11))
    assert len(np.unique(found.outputs.values, axis=0)) == 11  # it tells clips apart
    return found.outputs.values


def test_probabilities_of_a_videos_clips_are_those_of_predict(model, video, predicted):
    for batch_size in (1, 5):
        found = model.probabilities(model.clips(video), batch_size=batch_size)
        np.testing.assert_array_equal(found, predicted)


def test_frames_pushed_one_by_one_give_the_rows_of_predict(trained, video, predicted):
    predictor = StreamingPredictor(trained)
    frames = FileReader(video, VideoOptions(), threads=1).frames(FPS)
    found = [
        predictor.push(cv2.cvtColor(f, cv2.COLOR_BGR2RGB), k / FPS) for k, f in enumerate(frames)
    ]
    np.testing.assert_array_equal([each.scores for each in found], predicted)


def test_a_video_that_predict_calls_broken_off_is_refused_after_what_was_read(model, tmp_path):
    short = set_avi_length(write_video(tmp_path / "short.avi", num_frames=50), 500)
    clips = model.clips(short)
    assert sum(1 for _ in zip(range(4), clips, strict=False)) == 4
    with pytest.raises(UserError, match=r"short\.avi: its header promises 500 frames, 50 could"):
        list(clips)
    slow = write_video(tmp_path / "slow.avi", num_frames=4, fps=1)
    with pytest.raises(UserError, match=r"has 1 frames a second, where .* trained on 2"):
        model.clips(slow)
