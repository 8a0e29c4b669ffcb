"""What a page shows is what the predictions and the truth say."""

import json
from dataclasses import replace

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.viewer.lane_files import lanes_text
from surgvista_jax.viewer.lanes import Classes, Pictures
from surgvista_jax.viewer.operation import quantised, segments, time_of_each
from surgvista_jax.viewer.reading import read_operations
from tests.support.made_operation import PHASES, labels, scores, write_predictions


def test_bytes_are_above_one_half_exactly_where_probabilities_are():
    near = np.array([0.0, 0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1), 1.0])
    assert (quantised(near) > 127).tolist() == [False, False, False, True, True]
    values = np.linspace(0, 1, 1001)
    assert np.abs(quantised(values) / 255 - values).max() <= 0.5 / 255 + 1e-9


def test_segments_and_times_are_those_of_the_moments(tmp_path):
    label = labels(600)
    (operation,) = read_operations(str(write_predictions(tmp_path / "p.npz", scores(label))))
    found = segments(operation, operation.said.label)
    assert [segment.label for segment in found] == [0, 1, 2, 3, 4]
    assert (found[0].start, found[-1].end, operation.duration) == (0, 600, 600)
    assert all(one.end == two.start for one, two in zip(found, found[1:], strict=False))
    assert time_of_each(operation, operation.said) == np.bincount(label).tolist()
    assert operation.truth is None and operation.reliability == ()


def test_a_gap_ends_a_segment(tmp_path):
    frame = np.r_[np.arange(0, 10), np.arange(50, 60)]
    (operation,) = read_operations(str(write_predictions(tmp_path / "p.npz", scores(labels(20)))))
    operation = replace(operation, frame=frame)
    held = np.zeros(20, np.int16)
    assert [(s.start, s.end) for s in segments(operation, held)] == [(0, 10), (50, 60)]


def test_labels_in_the_file_are_the_truth_and_unlabelled_moments_are_not(tmp_path):
    label = labels(100)
    true = label.copy()
    true[:10] = -1
    path = write_predictions(tmp_path / "p.npz", scores(np.roll(label, 3)), label=true)
    (operation,) = read_operations(str(path))
    assert operation.truth is not None
    assert operation.truth.known.tolist() == (true >= 0).tolist()
    assert sum(row[0] for row in operation.reliability) == 90
    right = np.count_nonzero((np.roll(label, 3) == true)[10:])
    assert sum(row[2] for row in operation.reliability) == right


def test_truth_of_another_rate_and_form_is_matched_by_time(tmp_path):
    label = labels(100)
    path = write_predictions(tmp_path / "p.npz", scores(label))
    text = tmp_path / "phases"
    text.mkdir()
    lines = [f"{k}\t{PHASES[label[k // 25]]}" for k in range(2500)]
    (text / "case.txt").write_text("\n".join(lines))
    (by_frames,) = read_operations(str(path), truth=text, truth_fps=25)
    (tmp_path / "case.csv").write_text(
        "second,phase\n" + "".join(f"{k},{PHASES[v].lower()}\n" for k, v in enumerate(label))
    )
    (by_seconds,) = read_operations(str(path), truth=tmp_path / "case.csv")
    for operation in (by_frames, by_seconds):
        assert operation.truth is not None
        assert operation.truth.label.tolist() == label.tolist()


def dataset(folder, classes, label):
    (folder / "frames" / "case").mkdir(parents=True)
    head = {
        "name": "own",
        "task": "phase",
        "classes": classes,
        "label_kind": "single",
        "fps": 1.0,
        "splits": {},
        "procedure": "",
        "licence": "",
        "citation": "",
        "source_format": "videos",
    }
    (folder / "dataset.json").write_text(json.dumps(head))
    line = {"video": "case", "source": "frames/case", "fps": 1.0, "num_frames": len(label)}
    (folder / "videos.jsonl").write_text(json.dumps({**line, "labels": label}) + "\n")
    return folder


def test_a_dataset_is_a_truth_and_other_classes_are_refused_by_name(tmp_path):
    label = labels(100)
    path = write_predictions(tmp_path / "p.npz", scores(label))
    turned = dataset(tmp_path / "turned", PHASES[::-1], (4 - label).tolist())
    (operation,) = read_operations(str(path), truth=turned)
    assert operation.truth is not None and operation.truth.label.tolist() == label.tolist()
    other = dataset(tmp_path / "other", [*PHASES[:4], "Suturing"], label.tolist())
    with pytest.raises(UserError, match="it has 'Suturing' and it lacks 'Closure'"):
        read_operations(str(path), truth=other)
    (tmp_path / "case.csv").write_text("second,phase\n0,Suturing\n1,Closure\n")
    with pytest.raises(UserError, match="Suturing"):
        read_operations(str(path), truth=tmp_path / "case.csv")


def test_a_second_model_is_brought_into_the_order_of_the_first(tmp_path):
    label = labels(60)
    first = write_predictions(tmp_path / "p.npz", scores(label))
    second = write_predictions(
        tmp_path / "q.npz", scores(label)[:, ::-1], classes=PHASES[::-1], model="another"
    )
    (operation,) = read_operations(str(first), against=str(second))
    assert operation.other is not None and operation.other.name == "another"
    assert operation.other.label.tolist() == label.tolist()
    wrong = write_predictions(tmp_path / "r.npz", scores(label), classes=("Cutting", *PHASES[1:]))
    with pytest.raises(UserError, match="r.npz: its classes are not .*'Cutting'.*'Preparation'"):
        read_operations(str(first), against=str(wrong))
    elsewhere = write_predictions(tmp_path / "s.npz", scores(label), video="another one")
    with pytest.raises(UserError, match="another one"):
        read_operations(str(first), against=str(elsewhere))


def test_several_labels_a_moment_hold_above_one_half(tmp_path):
    rng = np.random.default_rng(0)
    score = rng.random((50, 4)).astype(np.float32)
    true = (rng.random((50, 4)) < 0.3).astype(np.uint8)
    names = ("grasper", "hook", "clipper", "scissors")
    path = write_predictions(
        tmp_path / "p.npz", score, label=true, classes=names, task="tool", label_kind="multi"
    )
    (operation,) = read_operations(str(path))
    assert operation.said.held is not None and operation.truth is not None
    assert np.array_equal(operation.said.held, score > 0.5)
    assert operation.truth.held is not None
    assert np.array_equal(operation.truth.held, true > 0)


def test_scores_that_are_no_probabilities_are_labels_alone(tmp_path):
    label = labels(30)
    path = write_predictions(tmp_path / "p.npz", 7 * scores(label) - 3, label_kind="single")
    (operation,) = read_operations(str(path))
    assert operation.said.probability is None and "no probabilities" in operation.notes[0]
    assert operation.said.label.tolist() == label.tolist()


def test_other_tasks_are_lanes_of_the_classes_that_occur(tmp_path):
    path = write_predictions(tmp_path / "p.npz", scores(labels(20)))
    tools = np.zeros((40, 3), np.float32)
    tools[10:20, 1] = tools[30:40, 1] = tools[0:6, 0] = 0.9
    names = ("hook", "grasper", "clipper")
    other = write_predictions(
        tmp_path / "tools.npz", tools, classes=names, fps=2.0, task="tool", label_kind="multi"
    )
    (operation,) = read_operations(str(path), lanes=[str(other)])
    (lane,) = operation.lanes
    assert isinstance(lane, Classes) and lane.names == ("grasper", "hook")
    assert lane.stretches == (((5, 10), (15, 20)), ((0, 3),))
    other = write_predictions(tmp_path / "t.npz", tools, classes=names, video="x", fps=2.0)
    with pytest.raises(UserError, match="t.npz: none of its videos"):
        read_operations(str(path), lanes=[str(other)])


def test_pictures_of_a_file_are_lanes_of_the_video_that_they_are_of(tmp_path):
    path = write_predictions(tmp_path / "p.npz", scores(labels(8)), video=["a/one", "two"])
    png = b"\x89PNG\r\n"
    lane = Pictures("<maps>", np.array([0, 1.5]), (png, png), "a note")
    (tmp_path / "maps.json").write_text(lanes_text("one.mp4", [lane]))
    one, two = read_operations(str(path), lanes=[str(tmp_path / "maps.json")])
    (found,) = one.lanes
    assert two.lanes == () and isinstance(found, Pictures)
    assert (found.title, found.images, found.note) == (lane.title, lane.images, lane.note)
    assert found.seconds.tolist() == [0, 1.5]
    good = json.loads(lanes_text("one.mp4", [lane]))
    for change, said in (
        ({"video": "three.mp4"}, "is of the video three.mp4, as none of the predicted"),
        ({"lanes": None}, "is not what `surgvista figure tokens"),
        ({"lanes": [5]}, "lane 1: `title` and `note`"),
        ({"lanes": [{**good["lanes"][0], "seconds": [1, 0]}]}, "`seconds` should ascend"),
        ({"lanes": [{**good["lanes"][0], "seconds": [0]}]}, "lane 1: images: 2 of 1 moments"),
        ({"lanes": [{**good["lanes"][0], "images": ["<", "x"]}]}, "lane 1: "),
        ({"lanes": [{**good["lanes"][0], "images": ["PHN2", "PHN2"]}]}, "neither JPEG nor PNG"),
    ):
        (tmp_path / "maps.json").write_text(json.dumps({**good, **change}))
        with pytest.raises(UserError, match=said) as caught:
            read_operations(str(path), lanes=[str(tmp_path / "maps.json")])
        assert "\n" not in str(caught.value)
