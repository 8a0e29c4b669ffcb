"""Are the phase datasets read as their authors distribute them, odd cases included?"""

import gzip
import json
import pickle

import numpy as np
import pytest

from surgvista_jax.data.datasets import cataract101, multibypass140, ophnet, registry
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, write
from tests.support.places import REALDATA


def frames(folder, count: int, size=(32, 32), name="{:05d}"):
    return footage.write_images(folder, [size] * count, ".jpg", name)


# M2CAI16-workflow


def test_m2cai16_as_distributed_is_numbered_through(tmp_path):
    source = tmp_path / "m2cai"
    text = "Frame\tPhase\n" + "".join(
        f"{k}\t{'TrocarPlacement' if k < 25 else 'Preparation'}\n" for k in range(50)
    )
    for part, name in (("train_dataset", "workflow_video_02"), ("test_dataset", "test_workflow_7")):
        footage.write_video(source / part / f"{name}.mp4", 50)
        write(source / part / f"{name}.txt", text)
        write(source / part / f"{name}_timestamp.txt", "no labels")
    dataset, said = convert("m2cai16", source, tmp_path / "out")
    assert labels(dataset) == {"video_01": (0, 1), "video_28": (0, 1)}
    assert dataset.splits == {"train": ("video_01",), "test": ("video_28",)}
    assert "train_dataset/workflow_video_02: is called video_01" in said
    write(source / "train_dataset" / "workflow_video_02.txt", text + "50\tOther\n")
    message = refusal("m2cai16", source, tmp_path / "again")
    assert "workflow_video_02.txt, line 52: unknown class 'Other'" in message


def test_m2cai16_numbered_through_with_labels_that_end_early(tmp_path):
    source = tmp_path / "m2cai"
    footage.write_video(source / "videos" / "video_03.mp4", 100)
    text = "Frame\tPhase\n" + "".join(f"{k}\tPreparation\n" for k in range(75))
    write(source / "phases" / "video_phase_03.txt", text)
    dataset, said = convert("m2cai16", source, tmp_path / "out")
    assert labels(dataset) == {"video_03": (1, 1, 1, -1)}
    assert "labels of video_03: 1 of 4 frames have none" in said


# AutoLaparo


@pytest.mark.parametrize(("first", "said"), [(1, "numbered from 1"), (0, None)])
def test_autolaparo_counts_frames_and_phases_from_0_whatever_the_files_do(tmp_path, first, said):
    source = tmp_path / "al"
    for video, phases in (("01", [0, 0, 6]), ("15", [3, 3, 0])):
        frames(source / "frames" / video, 3)
        lines = "".join(f"{k + 1}\t{p + first}\n" for k, p in enumerate(phases))
        write(source / "labels" / f"label_{video}.txt", "Frame\tPhase\n" + lines)
    dataset, notes = convert("autolaparo", source, tmp_path / "out")
    assert labels(dataset) == {"01": (0, 0, 6), "15": (3, 3, 0)}
    assert dataset.splits == {"train": ("01",), "test": ("15",)}
    assert "frames are numbered from 1; counted from 0 now" in notes
    assert ("phases are numbered from 1" in notes) == (said is not None)


def test_autolaparo_names_the_line_of_a_wrong_phase(tmp_path):
    frames(tmp_path / "al" / "frames" / "01", 2)
    path = write(tmp_path / "al" / "labels" / "label_01.txt", "Frame\tPhase\n1\t0\n2\t9\n")
    message = refusal("autolaparo", tmp_path / "al", tmp_path / "out")
    assert f"{path}, line 3: phase 9 is not from 0 to 6" in message


# PmLR50


def pmlr50(folder, phases=(0, 4, 2), videos=("1", "2", "03")):
    rows = [{"frame_id": k, "phase_gt": p, "unique_id": k} for k, p in enumerate(phases)]
    for split, video in zip(("train", "val", "test"), videos, strict=True):
        frames(folder / "frames" / video.zfill(2), 4, name="{:08d}")
        path = folder / "labels" / split / f"1fps{split}.pickle"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps({video: rows}))
    return folder


def test_pmlr50_goes_by_the_numbers_of_images(tmp_path):
    source = pmlr50(tmp_path / "pm")
    (source / "frames" / "02" / "00000001.jpg").unlink()
    dataset, said = convert("pmlr50", source, tmp_path / "out")
    assert labels(dataset) == {"01": (0, 4, 2, -1), "02": (0, 2, -1), "03": (0, 4, 2, -1)}
    assert dataset.splits == {"train": ("01",), "val": ("02",), "test": ("03",)}
    assert "labels of 01: 1 of 4 frames have none" in said


def test_pmlr50_as_the_authors_program_makes_its_index_files(tmp_path):
    """It calls what validates test, and what tests infer."""
    source = pmlr50(tmp_path / "pm")
    labels_of = source / "labels"
    (labels_of / "infer").mkdir()
    (labels_of / "test" / "1fpstest.pickle").rename(labels_of / "infer" / "1fpsinfer.pickle")
    (labels_of / "val" / "1fpsval.pickle").rename(labels_of / "test" / "1fpstest.pickle")
    reading = registry()["pmlr50"].read(source)
    assert reading.splits == {"train": ["01"], "val": ["02"], "test": ["03"]}


def test_pmlr50_says_when_files_divide_otherwise_than_published(tmp_path):
    reading = registry()["pmlr50"].read(pmlr50(tmp_path / "pm"))
    assert "val, test hold other videos than the published" in str(reading.notes[-1])
    source = pmlr50(tmp_path / "as published", videos=("1", "48", "38"))
    assert not registry()["pmlr50"].read(source).notes


def test_a_pickle_runs_nothing(tmp_path):
    source = pmlr50(tmp_path / "pm", phases=(0, 7))
    assert "entry 2: phase_gt 7 is not from 0 to 4" in refusal("pmlr50", source, tmp_path / "o")
    path = source / "labels" / "val" / "1fpsval.pickle"
    path.write_bytes(pickle.dumps({"2": [print]}))
    message = refusal("pmlr50", source, tmp_path / "o")
    assert f"{path}: not a pickle of plain values: it holds a builtins.print" in message
    path.write_bytes(b"\x80\x04no")
    assert f"{path}: not a pickle" in refusal("pmlr50", source, tmp_path / "o")


# ESD57


def test_esd57(tmp_path):
    source = tmp_path / "esd"
    for video in ("1", "2", "57"):
        frames(source / "frames" / video, 2)
        write(source / "phases" / f"{video}.txt", "frame phase\n0 0\n1 7\n")
    dataset, said = convert("esd57", source, tmp_path / "out")
    assert labels(dataset)["57"] == (0, 7)
    assert sorted(v for ids in dataset.splits.values() for v in ids) == ["1", "2", "57"]
    assert "drew their splits without a seed" in said
    path = write(source / "phases" / "2.txt", "frame phase\n0 8\n")
    assert f"{path}, line 2: phase '8'" in refusal("esd57", source, tmp_path / "again")


# CATARACTS


def test_cataracts_counts_frames_from_1_at_the_videos_own_rate(tmp_path):
    source = tmp_path / "cat"
    footage.write_video(source / "videos" / "micro" / "train01.mp4", 90, fps=29.5)
    footage.write_video(source / "videos" / "micro" / "test01.mp4", 90, fps=30)
    for part, video in (("train_gt", "train01"), ("dev_gt", "test01")):
        # Frame k, from 0, has step k // 30; at 29.5 frames a second, second 2 begins at frame 59.
        lines = "".join(f"{k + 1},{k // 30}\n" for k in range(90))
        path = source / "ground_truth" / "CATARACTS_2020" / part / f"{video}.csv"
        write(path, "Frame,Steps\n" + lines)
    dataset, said = convert("cataracts", source, tmp_path / "out")
    assert labels(dataset) == {"test01": (0, 1, 2), "train01": (0, 1, 1, 2)}
    assert dataset.splits == {"train": ("train01",), "val": ("test01",)}
    assert "labels of train01: are those of frames at 29.5 fps" in said
    write(path, "Frame,Steps\n1,0\n2,19\n")
    assert "test01.csv, line 3: step '19'" in refusal("cataracts", source, tmp_path / "again")


# Cataract-101


def cataract101_folder(folder, annotations: str):
    footage.write_video(folder / "videos" / "case_269.mp4", 250)
    write(folder / "videos.csv", "VideoID;Frames;FPS;Surgeon;Experience\n269;250;25;4;1\n")
    write(folder / "annotations.csv", "VideoID;FrameNo;Phase\n" + annotations)
    return folder


def test_cataract101_expands_the_starts_of_phases(tmp_path):
    source = cataract101_folder(tmp_path / "c", "269;50;1\n269;100;2\n269;200;10\n269;225;10\n")
    dataset, said = convert("cataract101", source, tmp_path / "out")
    # Nothing before the first start; the last line only tells where its phase ends.
    assert labels(dataset) == {"269": (-1, -1, 0, 0, 1, 1, 1, 1, 9, -1)}
    assert "the last line ends the phase of the line before" in said
    assert "phases are numbered from 1; counted from 0" in said


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("269;50;11\n", "line 2: phase 11 is not from 1 to 10"),
        ("269;50;1\n269;40;2\n", "line 3: frame 40 comes after 50"),
        ("270;50;1\n", "line 2: videos.csv has no video 270"),
        ("269;50\n", "line 2: 2 cells, the header has 3"),
        ("269;x;1\n", "line 2: column 'FrameNo': 'x' is not a whole number"),
    ],
)
def test_cataract101_names_a_wrong_line(tmp_path, lines, said):
    source = cataract101_folder(tmp_path / "c", lines)
    message = refusal("cataract101", source, tmp_path / "out")
    assert str(source / "annotations.csv") in message and said in message


def test_real_cataract101_is_read_whole():
    if not REALDATA.is_dir():
        pytest.skip("no real labels beside the checkout")
    lengths = cataract101.read_lengths(REALDATA / "cataract101" / "videos.csv")
    starts = cataract101.read_starts(REALDATA / "cataract101" / "annotations.csv", lengths)
    assert len(lengths) == len(starts) == 101
    assert sum(map(len, starts.values())) == 1266
    seen = set()
    for video, (num_frames, fps) in lengths.items():
        track = cataract101.phases(starts[video], num_frames, fps)
        seconds = track.at(np.arange(int(num_frames / fps)))
        seen |= set(seconds)
        first = next(k for k, label in enumerate(seconds) if label >= 0)
        assert first <= starts[video][0][0] / fps + 1
        assert -1 not in seconds[first : int(track.seconds)]  # no gap between phases
    assert seen == {-1, *range(10)}
    folds = cataract101.folds(list(lengths))
    assert [len(folds[split]) for split in ("train", "val", "test")] == [60, 13, 28]
    assert len({folds[f"fold{k}/test"] for k in range(1, 6)}) == 5


# Cataract-21


def test_cataract21_has_one_class_of_two_names(tmp_path):
    source = tmp_path / "c21"
    footage.write_video(source / "videos" / "case_18.mp4", 75)
    names = ["not_initialized"] * 25 + ["Tonisieren"] * 25 + ["Antibiotikum"] * 25
    text = "".join(f"{k},{name}\n" for k, name in enumerate(names))
    path = write(source / "labels" / "case_18.csv", text)
    dataset, said = convert("cataract21", source, tmp_path / "out")
    assert labels(dataset) == {"case_18": (0, 10, 10)}
    assert dataset.splits == {"test": ("case_18",)}
    assert "Tonisieren and Antibiotikum, where told apart, are one class" in said
    write(path, text + "75,Pause\n")
    assert f"{path}, line 76: unknown class" in refusal("cataract21", source, tmp_path / "again")


# MultiBypass140


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
    assert f"{path}: not JSON" in message and "line 3" in message


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


# OphNet


def test_ophnet(tmp_path):
    source = tmp_path / "oph"
    frames(source / "videos" / "case_0002", 6)
    lines = "case_0002,0,2.5,train,5,3\ncase_0002,2,4,train,5,6\n"
    path = write(source / ophnet.FILE, "video_id,start,end,split,surgery_id,phase_id\n" + lines)
    dataset, said = convert("ophnet", source, tmp_path / "out")
    assert labels(dataset) == {"case_0002": (3, 3, 6, 6, -1, -1)}
    assert "intervals overlap for 0.5 s" in said and "the last 2.0 s have no label" in said
    write(path, path.read_text() + "case_0002,5,6,test,5,6\n")
    assert f"{path}, line 4: split 'test'" in refusal("ophnet", source, tmp_path / "again")


def test_real_ophnet_is_read_whole(tmp_path):
    packed = REALDATA / "ophnet" / f"{ophnet.FILE}.gz"
    if not packed.exists():
        pytest.skip("no real labels beside the checkout")
    path = tmp_path / ophnet.FILE
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    intervals, splits = ophnet.read_phases(path)
    assert sum(map(len, intervals.values())) == 14_674 and len(intervals) == 743
    counts = {name: published.videos for name, published in ophnet.DATASET.published.items()}
    assert {split: len(videos) for split, videos in splits.items()} == counts
    assert {i.label for found in intervals.values() for i in found} == set(range(52))
