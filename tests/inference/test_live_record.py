"""What is left of a stream: every moment that was said, and a page that stays small."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError
from surgvista_jax.inference.live import Arrived
from surgvista_jax.inference.live_record import LiveRecord
from surgvista_jax.inference.streaming import Prediction
from surgvista_jax.inference.trained import Meaning
from surgvista_jax.ownership import in_folder
from surgvista_jax.predictions.npz import read_npz
from surgvista_jax.predictions.smoothing import Smoothing
from tests.support.made_operation import PHASES, data_of, labels, scores

FPS, HOURS = 5.0, 3
MODEL = SimpleNamespace(
    meaning=Meaning(PHASES, "single", "phase", FPS, ClipConfig(1, 1, 8)), name="model", causal=True
)


def test_three_hours_are_kept_whole_and_their_page_stays_small(tmp_path):
    """Of frames that no JPEG makes small; a moment that nobody saw stays a hole."""
    seconds, began, hole = HOURS * 3600, 777.0, slice(1000, 1010)
    score = scores(labels(int(seconds * FPS)))
    noise = np.random.default_rng(0).integers(0, 256, (2, 120, 200, 3), np.uint8)
    record = LiveRecord(MODEL, Smoothing("median", False, 3), in_folder(tmp_path), "camera")
    every, first = np.delete(np.arange(len(score)), hole), int(began * FPS)
    for k in every.tolist():
        time = began + k / FPS
        said = Prediction(first + k, time, score[k], (), ())
        record.keep(Arrived(time, noise[k % 2], 0.0), said)
        record.keep(Arrived(time + 0.1, noise[0], 0.0), None)
    assert record.write_said("gives no more pictures") == len(every)
    page = record.write_page()
    assert data_of(page.read_text())["damage"] == ["gives no more pictures"]
    assert page == tmp_path / "camera.html" and page.stat().st_size < 8e6
    film = data_of(page.read_text())["film"]
    assert film["seconds"][0] == began
    every_so_often = film["seconds"][1] - began
    assert began + seconds - film["seconds"][-1] < 2 * every_so_often < 300
    found = read_npz(tmp_path / "predictions.npz", "")
    np.testing.assert_array_equal(found.frame, first + every)
    np.testing.assert_array_equal(found.score, score[every])
    assert found.meta["causal"] and found.meta["smoothing"]["causal"]
    with open(tmp_path / "camera.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["second"]) == began + every[-1] / FPS and last["label"] == PHASES[-1]


def test_a_stream_without_a_prediction_leaves_nothing(tmp_path):
    record = LiveRecord(MODEL, None, in_folder(tmp_path), "camera")
    record.keep(Arrived(0.0, np.zeros((4, 4, 3), np.uint8), 0.0), None)
    assert record.write_said() == 0 and not list(tmp_path.iterdir())
    (tmp_path / "camera.html").write_text("somebody's")
    with pytest.raises(UserError, match=r"camera\.html"):
        LiveRecord(MODEL, None, in_folder(tmp_path), "camera")
