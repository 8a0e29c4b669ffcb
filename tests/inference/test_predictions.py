"""What is written of finished videos: at which seconds, and what pages read of it."""

import base64
import csv
from types import SimpleNamespace

import cv2
import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.conversion.own_videos import given_dataset
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.inference.predictions import (
    places_of,
    write_predictions,
    write_table,
    write_video_pages,
)
from surgvista_jax.inference.recordings import Moments
from surgvista_jax.inference.trained import Meaning
from surgvista_jax.ownership import in_folder
from surgvista_jax.viewer.reading import read_operations
from tests.support import marked_videos as marked
from tests.support.made_operation import data_of


def test_moments_stand_at_the_seconds_of_their_own_video(tmp_path):
    """Of frames that were kept at nearly the model's rate: in the table, and on the page."""
    meaning = Meaning(("a", "b"), "single", "phase", 30.0, ClipConfig(1, 1, 8))
    trained = SimpleNamespace(meaning=meaning, name="model")
    owned, count = in_folder(tmp_path, False), 5
    rates = {"slow": 29.4, "usual": 30.0}
    finished = []
    for number, (name, fps) in enumerate(rates.items()):
        frame = np.arange(count, dtype=np.int32) * 7200
        ids, scores = np.full(count, number, np.int32), np.full((count, 2), 0.5, np.float32)
        outputs = Outputs(ids, frame, np.full(count, -1, np.int32), scores, None)
        finished.append(Moments(Video(name, name, fps, 30000), tmp_path, outputs))
        write_table(owned, meaning, finished[-1])
    dataset = given_dataset(tmp_path, tmp_path, meaning.fps)
    write_predictions(owned, trained, dataset, finished, False, {})
    operations = read_operations(str(tmp_path / "predictions.npz"))
    for operation, (name, fps) in zip(operations, rates.items(), strict=True):
        expected = np.arange(count) * 7200 / fps
        with open(tmp_path / f"{name}.csv", newline="") as file:
            seconds = [float(row["second"]) for row in csv.DictReader(file)]
        np.testing.assert_allclose(seconds, expected, atol=5e-4)
        assert operation.video == name
        np.testing.assert_allclose(operation.seconds, expected)


def test_a_page_shows_the_stream_that_was_predicted(tmp_path):
    streams = marked.Pictures(count=10), marked.Pictures(count=10, first=500, size=(80, 64))
    source = marked.write(tmp_path / "case.mp4", *streams)
    meaning = Meaning(("a", "b"), "single", "phase", 5.0, ClipConfig(1, 1, 8))
    outputs = Outputs(*np.zeros((3, 2), np.int32), np.full((2, 2), 0.5, np.float32), None)
    outputs = outputs._replace(frame=np.arange(2))
    finished = [Moments(Video("case", source.name, 5.0, 2), tmp_path, outputs)]
    owned, trained = in_folder(tmp_path), SimpleNamespace(meaning=meaning, name="model")
    dataset = given_dataset(tmp_path, tmp_path, meaning.fps)
    write_predictions(owned, trained, dataset, finished, False, {})
    for stream, told in ((None, 0), (1, 500)):
        shown = write_video_pages(owned, places_of(finished), VideoOptions(stream=stream))
        image = base64.b64decode(data_of(shown.read_text())["film"]["images"][0])
        assert marked.number(cv2.imdecode(np.frombuffer(image, np.uint8), 0)) == told
