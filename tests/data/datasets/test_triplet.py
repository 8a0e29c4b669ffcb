"""Are the triplet datasets read as their authors distribute them?"""

import gzip
import json

import numpy as np
import pytest

from surgvista_jax.data.datasets import cholect45, cholect50, registry
from surgvista_jax.data.datasets.cholec80 import read_phases
from surgvista_jax.facts.triplets import CHOLECT50, PROSTATD
from surgvista_jax.metrics.named_protocols import find
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, write
from tests.support.places import REALDATA


def vector(triplet: int, instrument: int = 0, phase: int = 2) -> list:
    return [triplet, instrument, 1.0, *[-1.0] * 4, -1, -1, 1.0, *[-1.0] * 4, phase]


def cholect50_folder(folder, annotations: dict):
    for video in ("VID01", "VID92"):
        footage.write_images(folder / "videos" / video, [(32, 32)] * 5, ".png", "{:06d}")
        write(folder / "labels" / f"{video}.json", json.dumps({"annotations": annotations}))
    return folder


def test_cholect50(tmp_path):
    annotations = {
        "0": [vector(17), vector(60, 2), vector(17)],
        "2": [vector(-1, -1)],
        "3": [vector(-1, 3), vector(99, 5)],
    }
    source = cholect50_folder(tmp_path / "t50", annotations)
    (source / "videos" / "VID92" / "000001.png").unlink()  # labels go by number, not by place
    dataset, said = convert("cholect50", source, tmp_path / "out")
    assert labels(dataset) == {
        "VID01": ((17, 60), -1, (), (99,), -1),
        "VID92": ((17, 60), (), (99,), -1),
    }
    assert "1 instruments without a triplet are passed over" in said
    assert "VID92: 1 of 3 steps between the numbers of its images differ" in said
    assert dataset.label_kind == "multi" and len(dataset.classes) == 100
    assert dataset.splits["train"] == ("VID01",) and dataset.splits["test"] == ("VID92",)
    assert dataset.splits["rdv/train"] == ("VID01", "VID92")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n"annotations": {\n"0": [[1, 2]],}}', "double quotes at line 3, column 15"),
        ('{"annotations": {"0": [[1, 2]]}}', "frame 0: must be a list of 15 numbers"),
        (json.dumps({"annotations": {"7": [vector(100)]}}), "frame 7: triplet 100"),
        ("{}", "must hold `annotations`"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, said):
    source = cholect50_folder(tmp_path / "t50", {})
    path = write(source / "labels" / "VID92.json", text)
    message = refusal("cholect50", source, tmp_path / "out")
    assert str(path) in message and said in message


def test_splits_of_a_scheme_share_no_video_and_are_whole():
    for splits, videos, folds in (
        (cholect50.splits(), cholect50.VIDEOS, 5),
        (cholect45.splits(), cholect45.VIDEOS, 5),
    ):
        schemes: dict[str, list] = {}
        for name, members in splits.items():
            schemes.setdefault(name.rpartition("/")[0], []).append(set(members))
        assert sum(scheme.startswith("fold") for scheme in schemes) == folds
        for parts in schemes.values():
            assert sum(map(len, parts)) == len(set().union(*parts)) == len(videos)
        tests = [video for k in range(1, 6) for video in splits[f"fold{k}/test"]]
        assert sorted(tests) == sorted(videos)
    sizes = {name: len(members) for name, members in cholect50.splits().items()}
    assert (sizes["train"], sizes["val"], sizes["test"]) == (40, 5, 5)
    assert (sizes["rdv/train"], sizes["rdv/val"], sizes["rdv/test"]) == (35, 5, 10)


def test_training_videos_are_those_that_the_authors_name():
    """Their lists, written out; ours are what validation and test leave."""
    # fmt: off
    challenge = (
        1, 15, 26, 40, 52, 79, 2, 27, 43, 56, 66, 4, 22, 31, 47, 57, 68, 23, 35, 48, 60, 70, 13,
        25, 49, 62, 75, 8, 12, 29, 50, 78, 6, 51, 10, 73, 14, 32, 80, 42,
    )
    rendezvous = (
        1, 15, 26, 40, 52, 65, 79, 2, 18, 27, 43, 56, 66, 92, 4, 22, 31, 47, 57, 68, 96, 5, 23, 35,
        48, 60, 70, 103, 13, 25, 36, 49, 62, 75, 110,
    )
    # fmt: on
    splits = cholect50.splits()
    assert set(splits["train"]) == {f"VID{number:02d}" for number in challenge}
    assert set(splits["rdv/train"]) == {f"VID{number:02d}" for number in rendezvous}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("0 17,94\n1 -1\n2\t5\n", ((17, 94), -1, (5,))),
        ("header ids\n0 3\n1 -1\n2 3,3\n", ((3,), -1, (3,))),
        (
            "".join(
                f"{k}," + ",".join("1" if i in (k, 40) else "0" for i in range(100)) + "\n"
                for k in range(2)
            ),
            ((0, 40), (1, 40), -1),
        ),
    ],
)
def test_cholect45_in_either_text_layout(tmp_path, lines, expected):
    source = tmp_path / "t45"
    footage.write_images(source / "data" / "VID79", [(32, 32)] * 3, ".png", "{:06d}")
    write(source / "triplet" / "VID79.txt", lines)
    dataset, _ = convert("cholect45", source, tmp_path / "out")
    assert labels(dataset) == {"VID79": expected}
    assert dataset.splits["fold1/test"] == ("VID79",)


@pytest.mark.parametrize("line", ["3 100", "3 17,x", "3 0,2,0,1,101", "3 " + ",".join("2" * 100)])
def test_cholect45_names_a_wrong_line(tmp_path, line):
    source = tmp_path / "t45"
    footage.write_images(source / "data" / "VID79", [(32, 32)] * 3, ".png", "{:06d}")
    path = write(source / "triplet" / "VID79.txt", f"0 17\n{line}\n")
    assert f"{path}, line 2: " in refusal("cholect45", source, tmp_path / "out")


def prostatd_folder(folder, annotations: dict):
    for split, video in (("train", "a1"), ("test", "b2")):
        for frame in (0, 10, 7):
            path = folder / "frames_resized" / split / video
            footage.write_images(path, [(32, 32)], ".jpg", str(frame))
        text = json.dumps({"annotations": annotations})
        write(folder / "annos" / split / f"{video}.json", text)
    return folder


def test_prostatd_goes_by_its_own_table(tmp_path):
    rest = [-1] * 6
    annotations = {
        "0": [[21, 0, 9, 9, *rest], [88, 6, 9, 9, *rest]],
        "10": [[-1, -1, -1, -1, *rest]],
    }
    source = prostatd_folder(tmp_path / "p", annotations)
    dataset, said = convert("prostatd", source, tmp_path / "out")
    assert labels(dataset)["a1"] == ((21, 88), -1, ())  # frames 0, 7, 10
    assert (
        len(dataset.classes) == 89 and dataset.classes[88] == "instrument 6,null verb,null target"
    )
    assert dataset.splits == {"train": ("a1",), "test": ("b2",)}
    assert "1 instruments without a triplet" in said and "numbered, not named" in said
    prostatd_folder(source, {"0": [[21, 1, 9, 9, *rest]]})
    message = refusal("prostatd", source, tmp_path / "again")
    assert "a1.json, frame 0: triplet 21 is made of (0, 9, 9), not of (1, 9, 9)" in message


def test_the_tables_are_those_published():
    assert PROSTATD.null_triplets == (21, 45, 53, 66, 79, 85, 88)
    assert CHOLECT50.null_triplets == tuple(range(94, 100))
    for table in (CHOLECT50, PROSTATD):
        distinct = len(np.unique(table.rows, axis=0))
        assert distinct == len(table.rows) == len(set(table.names()))
    if not REALDATA.is_dir():
        return
    lines = (REALDATA / "cholect50" / "label_mapping.txt").read_text().split("\n")
    rows = [tuple(map(int, line.split(",")[1:4])) for line in lines if line and line[0] != "#"]
    assert rows == [tuple(row) for row in CHOLECT50.rows.tolist()]
    names = json.loads((REALDATA / "cholect50" / "labels" / "VID68.json").read_text())["categories"]
    assert [names["triplet"][str(k)] for k in range(100)] == list(CHOLECT50.names())


@pytest.mark.parametrize("name", ["cholec80-strict", "m2cai16-strict", "autolaparo-strict"])
def test_predictions_are_scored_by_the_classes_that_labels_have(name):
    """Under other names a file of predictions would not be recognised as that of the dataset."""
    protocol = find(name)
    assert protocol.classes == registry()[name.removesuffix("-strict")].classes


def test_real_operations(tmp_path):
    """Labelled frames as published, and the phases of Cholec80 on all frames but one."""
    if not REALDATA.is_dir():
        pytest.skip("no real labels beside the checkout")
    folder = tmp_path / "t50"
    (folder / "videos").mkdir(parents=True)
    for part in ("frames", "labels"):
        target = "videos" if part == "frames" else "labels"
        if target == "videos":
            (folder / target).rmdir()
        (folder / target).symlink_to(REALDATA / "cholect50" / part)
    dataset, _ = convert("cholect50", folder, tmp_path / "out", "--short-side", "32")
    labelled = {v.video: sum(label != -1 for label in v.labels) for v in dataset.videos}
    assert labelled == {"VID68": 243, "VID70": 164, "VID74": 441}
    assert all(-1 not in video.labels for video in dataset.videos)
    differing, compared = 0, 0
    for video in labelled:
        packed = (
            REALDATA / "cholec80_phases_1fps" / "groundTruth" / f"video{video[3:]}-phase.txt.gz"
        )
        path = write(tmp_path / "p.txt", gzip.decompress(packed.read_bytes()).decode())
        ours = cholect50.read_phases(folder / "labels" / f"{video}.json").by_number
        theirs = read_phases(path).at(np.array(list(ours)))
        differing += sum(a != b for a, b in zip(ours.values(), theirs, strict=True))
        compared += len(ours)
    assert (differing, compared) == (1, 848)
