"""Which protocols may a run ask for, and what is said of scores that are no number?"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from surgvista_jax.data.batches.division import Division
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.errors import UserError
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.ownership import in_folder
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.tasks.outcome import (
    RESULT,
    check_protocol,
    description,
    report_seeds,
    write_outcome,
)
from surgvista_jax.viewer.reading import read_operations


@pytest.mark.parametrize(
    ("protocol", "task", "kind", "classes", "said"),
    [
        ("", "tool", "multi", 3, ""),
        ("cholec80-tool", "tool", "multi", 7, ""),
        ("tool-presence", "tool", "multi", 6, ""),
        ("clips-single", "phase", "single", 4, ""),  # the kind of the labels decides
        ("surgvista-clips", "cvs", "single", 6, ""),
        ("cholec80-tool", "tool", "multi", 6, "the dataset has 6 classes .*cholec80-tool has 7"),
        (
            "cholec80-strict",
            "tool",
            "multi",
            7,
            "dataset holds several classes a frame, cholec80-strict",
        ),
        ("cholect50-rdv", "triplet", "multi", 89, "dataset has 89 classes .*cholect50-rdv has 100"),
        ("cholec80-tools", "tool", "multi", 7, "should be one of"),
    ],
)
def test_a_protocol_fits_the_dataset(protocol, task, kind, classes, said):
    names = tuple(f"c{k}" for k in range(classes))
    dataset = Dataset(Path("d"), "d", task, names, kind, 1.0, {}, "", "", "", "", ())
    if not said:
        return check_protocol(protocol, dataset)
    with pytest.raises(UserError, match=said) as error:
        check_protocol(protocol, dataset)
    assert "\n" not in str(error.value)


def test_what_of_a_video_could_not_be_read_is_in_a_runs_predictions_and_report(tmp_path, capsys):
    said = "is damaged near 1.0 s; what could be decoded there is kept"
    damage, labels = {"b": (said,)}, (0, 0, 1, 1)
    videos = tuple(Video(name, name, 1.0, 4, labels, damage=damage.get(name)) for name in "abc")
    splits = {"test": ("a", "b", "c")}
    test = Dataset(
        Path("d"), "d", "phase", ("x", "y"), "single", 1.0, splits, "", "", "", "", videos
    )
    config = SimpleNamespace(
        mode="full",
        seed=0,
        select_on="last",
        evaluation=SimpleNamespace(score="accuracy", protocol="phase-strict"),
    )
    division = Division(test, None, test, "last")
    rows = np.tile(np.array(labels, np.int32), 3)
    frame, video = np.tile(np.arange(4, dtype=np.int32), 3), np.repeat(np.arange(3), 4)
    outputs = Outputs(video, frame, rows, np.eye(2, dtype=np.float32)[rows], None)
    about = description(config, test, name="run")
    write_outcome(in_folder(tmp_path), config, division, {"step": 1}, outputs, about)
    note = f"Not all of 1 video could be read: b ({said})"
    assert note in json.loads((tmp_path / "report" / "report.json").read_text())["notes"]
    assert f"Note: {note}" in capsys.readouterr().out
    (_, shown, _) = read_operations(str(tmp_path / PREDICTIONS))
    assert (shown.video, shown.damage) == ("b", (said,))


def test_a_seed_without_a_score_leaves_no_mean(tmp_path):
    folders = [tmp_path / f"seed{seed}" for seed in range(2)]
    for folder, value in zip(folders, (0.5, None), strict=True):
        folder.mkdir()
        values = {"score": "accuracy", "selected_on": "val", "selection": 0.25, "test": value}
        (folder / RESULT).write_text(json.dumps(values))
    said = report_seeds(folders, in_folder(tmp_path), "").splitlines()
    assert said[0] == "selection accuracy 0.2500 ± 0.0000 (0.2500, 0.2500)"
    assert said[1] == "test accuracy nan ± nan (0.5000, not finite)"
    found = json.loads((tmp_path / RESULT).read_text())
    assert found["test"] == {"mean": None, "std": None, "values": [0.5, None]}


@pytest.mark.parametrize("text", ["{}", "[]", "5", '{"score": 3}', '{"score": "a", "test": "x"}'])
def test_a_result_of_something_else_is_one_line(tmp_path, text):
    (tmp_path / RESULT).write_text(text)
    with pytest.raises(UserError, match=RESULT) as caught:
        report_seeds([tmp_path], in_folder(tmp_path), "")
    assert "\n" not in str(caught.value)
