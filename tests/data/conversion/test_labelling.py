"""Do labels and frames that do not fit say so, instead of being shifted or lost?"""

import json

import cv2
import numpy as np
import pytest

from surgvista_jax.data.datasets.cholec80 import PHASES
from surgvista_jax.data.storage.manifest import read_dataset
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, run, write


def images(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    for name in names:
        (folder / f"{name}.png").write_bytes(data)
    return folder


def triplets(folder, names, frames):
    """CholecT50 with images of these names, and labels of these frames."""
    images(folder / "videos" / "VID01", names)
    row = [5, 0, 1, -1, -1, -1, -1, 0, 0, -1, -1, -1, -1, -1, 0]
    annotations = {"annotations": {str(frame): [row] for frame in frames}}
    write(folder / "labels" / "VID01.json", json.dumps(annotations))
    return folder


@pytest.mark.parametrize(
    ("names", "frames", "said"),
    [
        ([f"{25 * k:06d}" for k in range(9)], range(9), "numbered 0, 25, 50 … 200, its labels 0,"),
        (range(9), range(0, 225, 25), "numbered 0, 1, 2 … 8, its labels 0, 25, 50 … 200"),
        (range(1, 10), range(9), "numbered 1, 2, 3 … 9, its labels 0, 1, 2 … 8"),
        ([f"{k:06d}" for k in range(9)] + ["000003 (1)"], range(9), "000003 (1).png: is not named"),
        ([f"12_{k}" for k in range(5, 9)] + ["12_05"], range(9), "has the number 5, as 12_0"),
        (["a", "b"], range(2), "a.png: no number in its name"),
    ],
)
def test_images_numbered_otherwise_than_labels_stop_before_anything_is_written(
    tmp_path, names, frames, said
):
    source = triplets(tmp_path / "t", names, frames)
    assert said in refusal("cholect50", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_go_by_number_whatever_pads_or_precedes_it(tmp_path):
    source = triplets(tmp_path / "t", [f"VID01_2024_{k}" for k in (1, 2, 4, 10)], [0, 1, 2, 4])
    dataset, _ = convert("cholect50", source, tmp_path / "out")
    assert labels(dataset) == {"VID01": ((5,), (5,), (5,), -1)}


def test_official_files_of_a_line_a_second_are_recognised(tmp_path):
    source = tmp_path / "in"
    for video, numbers, seconds in (
        ("video01", range(10), 10),
        ("video02", range(0, 250, 25), 10),
        ("video03", range(1, 11), 10),
        ("video04", range(20), 60),
    ):
        footage.write_video(source / "videos" / f"{video}.mp4", 5 * seconds, fps=5)
        text = "".join(f"{n}\t{PHASES[k // 3]}\n" for k, n in enumerate(numbers))
        write(source / "phase_annotations" / f"{video}-phase.txt", text)
    words = ["--source", source, "--out", tmp_path / "out", "--margins", "keep"]
    code, _, said = run("data", "convert", "cholec80", *words)
    found = labels(read_dataset(tmp_path / "out"))
    assert code == 1
    assert found["video01"] == found["video02"] == (0, 0, 0, 1, 1, 1, 2, 2, 2, 3)
    assert "labels of video01: has one line a second (0, 1, 2 …), not 25\n" in said
    assert "labels of video02: has one line a second (0, 25, 50 …), not 25\n" in said
    assert "video03: has one line a second (0, 1, 2 …), not 25; its first is 1, where 0" in said
    assert "video04: labels last 0.0133 times as long as the video (1/75); is each of them" in said


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([*range(4), *range(5, 9)], "after 3 comes 5"),
        (range(4, 9), "they begin with 4"),
        ([*range(4), "3 (1)"], "3 (1).png: is not named as the other images (0.png)"),
        ([*range(4), "cover"], "cover.png: is not named as the other images"),
    ],
)
def test_images_that_labels_count_by_their_order_leave_none_out(tmp_path, names, said):
    source = tmp_path / "in"
    folder = images(source / "frames" / "video02", names)
    write(source / "phase_annotations" / "video02-phase.txt", "preparation\n" * 9)
    message = refusal("cholec80", source, tmp_path / "out")
    assert str(folder) in message and said in message


def test_labels_from_1_of_images_from_1_are_not_taken_for_the_next_images(tmp_path):
    images(tmp_path / "in" / "frames" / "7", range(1, 5))
    lines = "".join(f"{k} {k}\n" for k in range(1, 5))
    path = write(tmp_path / "in" / "phases" / "7.txt", f"frame phase\n{lines}")
    message = refusal("esd57", tmp_path / "in", tmp_path / "out")
    assert (
        "frames/7: its images are numbered from 1, and its labels, which count from 0," in message
    )
    write(path, f"frame phase\n0 0\n{lines}")
    dataset, _ = convert("esd57", tmp_path / "in", tmp_path / "out")
    assert labels(dataset) == {"7": (0, 1, 2, 3)}


def test_images_without_labels_may_be_numbered_in_any_way(tmp_path):
    images(tmp_path / "in" / "frames" / "video02", [1, 2, 4, "3 (1)"])
    convert("cholec80", tmp_path / "in", tmp_path / "out", "--unlabelled")


def test_what_training_never_sees_is_said(tmp_path):
    source = tmp_path / "in"
    for name in "abcd":
        images(source / name, range(10))
    lines = "a,0,2.2,rest\na,2.2,2.9,clip\na,2.9,10,cut\nb,0,5,rest\nb,5,10,sew\n"
    path = write(tmp_path / "l.csv", "video,start,end,label\n" + lines)
    splits = write(tmp_path / "s.csv", "video,split,patient\na,train,1\nb,test,2\n")
    words = ["--labels", path, "--splits", splits]
    dataset, said = convert("videos", source, tmp_path / "out", *words)
    assert "1 interval(s) between two frames at 1 fps label none: clip 2.20-2.90 s of a" in said
    assert "classes: 1 of 4 classes have no frame: clip" in said
    assert "splits: split train has no frame of 1 of 4 classes that others have: sew" in said
    assert "labels of c: there is no line of it in" in said
    assert [video.patient for video in dataset.videos] == ["1", "2", None, None]
