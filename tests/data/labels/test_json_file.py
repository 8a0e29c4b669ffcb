"""Is whatever stands in a JSON or pickle file of labels read, or named by file and place?"""

import json
import pickle

import pytest

from surgvista_jax.checks import shortened
from surgvista_jax.data.datasets import cholect50, multibypass140, prostatd
from surgvista_jax.data.labels.index_pickle import frame_labels
from surgvista_jax.data.labels.json_file import read_annotations, read_json
from surgvista_jax.errors import UserError
from tests.support.convert_run import write

ODD = [None, 5, 0.5, True, "x", [], {}, [None], [[]], [[None] * 15], float("nan")]
ODD += [float("inf"), 10**400]
VECTOR = [0, 0, 1, -1, -1, -1, -1, 0, 0, -1, -1, -1, -1, -1, 0]


def put_in(value, odd):
    """The value with each of its parts in turn replaced by something odd."""
    yield odd
    places = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in places if isinstance(value, (dict, list)) else ():
        for other in put_in(part, odd) if isinstance(part, (dict, list)) else (odd,):
            changed = dict(value) if isinstance(value, dict) else list(value)
            changed[key] = other
            yield changed


@pytest.mark.parametrize("odd", ODD, ids=shortened)
@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"annotations": {"0": [VECTOR[:9] + VECTOR[9:]]}}, cholect50.read_triplets),
        ({"annotations": {"0": [VECTOR]}}, cholect50.read_phases),
        ({"annotations": {"0": [[21, 0, 9, 9, -1]]}}, prostatd.read_triplets),
        (
            {"phases": [{"start": 0, "end": 2000, "label_id": 0}]},
            lambda path: multibypass140.read_intervals(path, "phases"),
        ),
    ],
    ids=["cholect50", "its phases", "prostatd", "multibypass140"],
)
def test_odd_values_anywhere_are_one_line(tmp_path, value, read, odd):
    path = tmp_path / "v.json"
    for changed in put_in(value, odd):
        write(path, json.dumps(changed))
        try:
            read(path)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("bad", [None, 5, [[-1, None, *VECTOR[2:]]], [[None, *VECTOR[1:]]]])
def test_null_and_numbers_where_cholect50_has_lists(tmp_path, bad):
    text = json.dumps({"annotations": {"0": [VECTOR], "1": bad}})
    path = write(tmp_path / "VID01.json", text)
    with pytest.raises(UserError, match="VID01.json, frame 1: "):
        cholect50.read_triplets(path)


@pytest.mark.parametrize("odd", [*ODD, 10**30, -1, 10**5000], ids=shortened)
def test_odd_values_in_an_index_are_one_line(tmp_path, odd):
    path = tmp_path / "i.pickle"
    index = {"1": [{"frame": 0, "phase": 1}]}
    for changed in put_in(index, odd):
        path.write_bytes(pickle.dumps(changed))
        try:
            frame_labels(path, "1", "frame", "phase", 5)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def test_a_video_that_is_a_number_of_thousands_of_digits_is_one_line(tmp_path):
    path = tmp_path / "i.pickle"
    path.write_bytes(pickle.dumps({10**5000: 5}))
    with pytest.raises(UserError, match="video a number of thousands of digits: must be a list"):
        frame_labels(path, "1", "frame", "phase", 5)


def test_a_frame_twice_is_named(tmp_path):
    path = tmp_path / "i.pickle"
    path.write_bytes(pickle.dumps({"1": [{"frame": 3, "phase": 1}, {"frame": 3, "phase": 2}]}))
    with pytest.raises(UserError, match="video 1: frame 3 occurs twice"):
        frame_labels(path, "1", "frame", "phase", 5)
    path.write_bytes(pickle.dumps({"1": [], 1: []}))
    with pytest.raises(UserError, match="holds a video twice"):
        frame_labels(path, "1", "frame", "phase", 5)
    for text, said in (
        ('{"annotations": {"0": [], "0": []}}', "the key '0' stands twice"),
        ('{"annotations": {"0": [], "00": []}}', "frame 00: stands twice, as 0 too"),
        ('{"annotations": {"-1": []}}', "'-1' is not the number of a frame"),
    ):
        with pytest.raises(UserError, match=said):
            read_annotations(write(tmp_path / "v.json", text))


def test_json_that_cannot_be_read_is_one_line(tmp_path):
    said = dict.fromkeys(("[" * 100_000, '{"a": ' + "9" * 5_000 + "}", "{"), "not JSON")
    for text, fault in (said | {"\x00": "not text"}).items():
        with pytest.raises(UserError, match=f"v.json.*{fault}"):
            read_json(write(tmp_path / "v.json", text))
