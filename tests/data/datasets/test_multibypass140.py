"""Is MultiBypass140 read from its intervals and from the index files of its folds?"""

import gzip
import json
import pickle

import numpy as np
import pytest

from surgvista_jax.data.datasets import multibypass140
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, write
from tests.support.places import REALDATA


def frames(folder, count: int, size=(32, 32), name="{:05d}"):
    return footage.write_images(folder, [size] * count, ".jpg", name)


def bypass(folder):
    for town, name, video in (
        ("bern", "BernBypass70", "BBP01"),
        ("strasbourg", "StrasBypass70", "SBP02"),
    ):
        frames(folder / "datasets" / name / "frames" / video, 4, name="img{}")
        intervals = [
            {"start": 0, "end": 2000, "label_name": "preparation", "label_id": 0},
            {"start": 500, "end": 1500, "label_name": "out_of_body", "label_id": 12},
            {"start": 1000, "end": 3000, "label_name": "gastric_pouch_creation", "label_id": 1},
        ]
        text = json.dumps({"phases": intervals, "steps": []})
        write(folder / "labels" / town / "labels_by70" / f"{video}.mp4.json", text)
    return folder


def test_multibypass140_from_intervals(tmp_path):
    source = bypass(tmp_path / "mb")
    dataset, said = convert("multibypass140-phases", source, tmp_path / "out")
    assert labels(dataset) == {"BBP01": (0, 1, 1, -1), "SBP02": (0, 1, 1, -1)}
    assert dataset.splits == {"centre/bern": ("BBP01",), "centre/strasbourg": ("SBP02",)}
    assert [video.centre for video in dataset.videos] == ["Bern", "Strasbourg"]
    assert "intervals overlap for 1.0 s" in said and "out_of_body" in said
    path = source / "labels" / "bern" / "labels_by70" / "BBP01.mp4.json"
    write(path, '{"phases": [\n{"start": 0,\n')
    message = refusal("multibypass140-phases", source, tmp_path / "again")
    assert f"{path}: not JSON: " in message and "at line 3" in message


def test_multibypass140_from_the_index_files_of_the_folds(tmp_path):
    source = bypass(tmp_path / "mb")
    rows = [{"Original_frame_id": k, "Phase_gt": 11, "Step_gt": 45} for k in range(4)]
    for town, video in (("bern", "BBP01"), ("strasbourg", "SBP02")):
        folder = source / "labels" / town / "labels_by70_splits" / "labels"
        for split in ("train", "test"):
            name = "1fps_100_0.pickle" if split == "train" else "1fps_0.pickle"
            (folder / split).mkdir(parents=True)
            there = (split == "train") == (town == "bern")
            content = pickle.dumps({video: rows} if there else {})
            (folder / split / name).write_bytes(content)
    dataset, _ = convert("multibypass140-steps", source, tmp_path / "out")
    assert labels(dataset) == {"BBP01": (45,) * 4, "SBP02": (45,) * 4}
    assert dataset.splits["fold1/train"] == dataset.splits["train"] == ("BBP01",)
    assert dataset.splits["strasbourg-fold1/test"] == ("SBP02",)


def test_real_multibypass140_is_read_whole(tmp_path):
    folder = REALDATA / "multibypass140"
    if not folder.is_dir():
        pytest.skip("no real labels beside the checkout")
    for kind, classes in (("phases", multibypass140.PHASES), ("steps", multibypass140.STEPS)):
        table = (folder / "tables" / f"{kind[:-1]}.csv").read_text().split("\n")[1:]
        names = [line.split(",")[1].strip() for line in table if line.strip()]
        assert tuple(names[: len(classes)]) == classes
        files = sorted((folder / "labels" / "bern").glob("*.json"))
        tracks = [multibypass140.read_intervals(path, kind) for path in files]
        assert len(tracks) == 20 and min(track.seconds for track in tracks) > 2000
    packed = folder / "strasbourg_val_1fps_0.pickle.gz"
    path = tmp_path / "1fps_0.pickle"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    track = multibypass140.read_index_labels(path, "SBP09", "phases")
    assert len(track.by_number) == 5792 and track.at(np.array([0.0, 5791.0])) == (0, 10)
