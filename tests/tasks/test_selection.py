"""Which parameters are kept as the best, whatever a run is cut off by, and by which score?"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.facts.triplets import TABLES
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.tasks.selection import Selection, check_score, read_evaluations, score
from surgvista_jax.training.checkpoint import save_params


def outputs(label, values, video=None) -> Outputs:
    label = np.asarray(label)
    video = np.zeros(len(label), np.int32) if video is None else np.asarray(video)
    return Outputs(video, np.arange(len(label)), label, np.asarray(values, np.float32), 0)


def params(number) -> dict:
    return {"kernel": jnp.full((3,), float(number))}


def kept(selection) -> float:
    """The number of the parameters that would be restored."""
    on_device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.ShapeDtypeStruct((3,), jnp.float32, sharding=on_device)
    return float(selection.restore({"kernel": abstract})["kernel"][0])


def add(selection, *scores) -> list[bool]:
    """Steps 2, 4, … with these scores; the parameters of a step hold its number."""
    first = max([line["step"] for line in selection._lines], default=0) + 2
    return [
        selection.add(step, value, params(step), {})
        for step, value in enumerate_by_two(first, scores)
    ]


def enumerate_by_two(first, values):
    return zip(range(first, first + 2 * len(values), 2), values, strict=True)


def test_accuracy_is_the_share_of_right_decisions():
    values = [[0.6, 0.4], [0.1, 0.9], [0.2, 0.8], [0.7, 0.3]]
    assert score("accuracy", outputs([0, 1, 0, 1], values)) == 0.5


def test_mean_ap_is_the_mean_over_classes_of_average_precision():
    """By hand: class 0 is ranked +, -, + (AP 5/6), class 1 -, +, - (1/2), class 2 never occurs."""
    values = [[0.9, 0.1, 0], [0.5, 0.5, 0], [0.4, 0.6, 0]]
    wanted = ((1 + 2 / 3) / 2 + 1 / 2) / 2
    np.testing.assert_allclose(score("mean_ap", outputs([0, 1, 0], values)), wanted)
    several = np.eye(3, dtype=np.float32)[[0, 1, 0]]
    np.testing.assert_allclose(score("mean_ap", outputs(several, values)), wanted)
    several[1, 0] = 1  # and now every frame is of class 0
    np.testing.assert_allclose(score("mean_ap", outputs(several, values)), (1 + 1 / 2) / 2)


def test_triplets_are_averaged_over_videos_and_then_over_classes():
    """Class 0 in videos 0 (AP 1) and 1 (1/2), class 1 in video 1 alone (1); null triplets apart."""
    label, values = np.zeros((4, 100), np.float32), np.zeros((4, 100), np.float32)
    label[[0, 3], 0] = 1
    values[:, 0] = [0.9, 0.1, 0.8, 0.3]
    label[2, 1] = 1
    values[2, 1] = 1
    null = TABLES["cholect50"].null_triplets[0]
    label[0, null] = 1  # ranked last, and left out
    values[1, null] = 1
    found = score("triplet_ap_cholect50", outputs(label, values, [0, 0, 1, 1]))
    np.testing.assert_allclose(found, ((1 + 1 / 2) / 2 + 1) / 2)
    # Not the frames of all videos pooled, where class 0 would have (1 + 2/3) / 2.
    assert found != score("mean_ap", outputs(label[:, :2], values[:, :2], [0, 0, 1, 1]))


@pytest.mark.parametrize("name", ["accuracy", "mean_ap", "triplet_ap_cholect50"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_diverged_model_has_no_score(name, wrong):
    label = np.zeros((2, 100), np.float32) if name != "accuracy" else np.zeros(2, np.int32)
    assert np.isnan(score(name, outputs(label, np.full((2, 100), wrong))))


@pytest.mark.parametrize(
    ("name", "kind", "classes", "said"),
    [
        ("accuracy", "single", 3, ""),
        ("mean_ap", "single", 3, ""),
        ("mean_ap", "multi", 3, ""),
        ("triplet_ap_prostatd", "multi", 89, ""),
        ("accuracy", "multi", 3, "does not fit labels of kind multi"),
        ("triplet_ap_cholect50", "single", 100, "does not fit labels of kind single"),
        ("triplet_ap_cholect50", "multi", 89, "is of 100 triplets, the dataset has 89 classes"),
        ("f1", "single", 3, "accuracy, mean_ap, triplet_ap_cholect50, triplet_ap_prostatd"),
    ],
)
def test_a_score_fits_the_labels(name, kind, classes, said):
    if not said:
        return check_score(name, kind, classes)
    with pytest.raises(UserError, match=said) as error:
        check_score(name, kind, classes)
    assert "\n" not in str(error.value)


def test_the_best_is_the_first_of_equals(tmp_path):
    selection = Selection(tmp_path, 0)
    assert selection.best is None
    assert add(selection, 0.5, 0.7, 0.7, 0.6) == [True, True, False, False]
    assert selection.best == {"step": 4, "score": 0.7}
    assert kept(selection) == 4
    assert [line["score"] for line in read_evaluations(tmp_path)] == [0.5, 0.7, 0.7, 0.6]


def test_what_is_no_number_is_never_the_best(tmp_path):
    selection = Selection(tmp_path, 0)
    assert add(selection, np.nan, np.inf, 0.0, np.nan) == [True, False, True, False]
    assert kept(selection) == kept(Selection(tmp_path, 8)) == 6
    assert [line["score"] for line in read_evaluations(tmp_path)] == [None, None, 0.0, None]
    for line in (tmp_path / "evaluations.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_restart_drops_what_comes_later(tmp_path):
    add(Selection(tmp_path, 0), 0.5, 0.6, 0.7)
    again = Selection(tmp_path, 4)
    assert [line["step"] for line in read_evaluations(tmp_path)] == [2, 4]
    assert again.has(2) and again.has(4) and not again.has(6)
    assert again.best["step"] == 4 and kept(again) == 4
    assert add(again, 0.55) == [False]
    assert kept(Selection(tmp_path, 6)) == 4


def test_a_best_without_its_line_is_evaluated_again(tmp_path):
    """Killed after the parameters were saved and before the line was written."""
    add(Selection(tmp_path, 0), 0.5)
    save_params(tmp_path / "best", 4, params(4), {"score": 0.7}, keep=2)
    for restart in (2, 4):  # its checkpoint was not complete, or was
        again = Selection(tmp_path, restart)
        assert not again.has(4)
        assert again.best["step"] == 2 and kept(again) == 2
        assert again.add(4, 0.7, params(4), {}) and kept(again) == 4
        (tmp_path / "evaluations.jsonl").write_text('{"step": 2, "score": 0.5}\n')


def test_the_very_first_best_without_its_line_is_dropped(tmp_path):
    save_params(tmp_path / "best", 2, params(-1), {"score": 0.7}, keep=2)
    selection = Selection(tmp_path, 0)
    assert selection.best is None
    selection.add(2, 0.7, params(2), {})
    assert kept(selection) == 2


def test_parameters_that_better_ones_replaced_are_no_longer_the_best(tmp_path):
    """Two are kept. A restart before both of them has none, whatever the lines before say."""
    add(Selection(tmp_path, 0), 0.5, 0.6, 0.7)
    again = Selection(tmp_path, 2)
    assert again.has(2) and again.best is None
    assert add(again, 0.4) == [True]  # on other devices a run may go another way
    assert kept(again) == 4


def test_a_torn_line_is_left_out(tmp_path):
    add(Selection(tmp_path, 0), 0.5)
    with (tmp_path / "evaluations.jsonl").open("a") as file:
        file.write('{"step": 4, "sc')
    again = Selection(tmp_path, 4)
    assert not again.has(4)
    add(again, 0.6)
    assert [line["step"] for line in read_evaluations(tmp_path)] == [2, 4]


@pytest.mark.parametrize("line", [b'{"step": 4, "sc', b"\xff", b"[1]", b'{"step": 4}'])
def test_a_torn_evaluation_is_done_again_and_a_broken_one_is_named(tmp_path, line):
    path = tmp_path / "evaluations.jsonl"
    add(Selection(tmp_path, 0), 0.5)
    whole = path.read_bytes()
    path.write_bytes(whole + line)
    assert not Selection(tmp_path, 4).has(4) and path.read_bytes() == whole
    path.write_bytes(line + b"\n" + whole)
    with pytest.raises(UserError, match="evaluations.jsonl, line 1: .*delete that line"):
        Selection(tmp_path, 4)
