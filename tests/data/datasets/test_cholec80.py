"""Is Cholec80 read as its authors distribute it?"""

import gzip
import json

import cv2
import numpy as np
import pytest

from surgvista_jax.data.datasets.cholec80 import PHASES, SPLITS, VIDEOS, read, read_phases
from surgvista_jax.data.storage.open import open_frames
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, run, write
from tests.support.places import REALDATA


def official_phases(seconds: list[int]) -> str:
    """The official text of a phase a second, a line for each frame of 25 a second."""
    lines = [f"{25 * k + f}\t{PHASES[p]}" for k, p in enumerate(seconds) for f in range(25)]
    return "Frame\tPhase\n" + "\n".join(lines) + "\n"


@pytest.fixture
def source(tmp_path):
    """Three videos: a plain one, one whose labels end early, one of the test half."""
    folder = tmp_path / "cholec 80"
    for video, phases, frames in (
        ("video01", [0, 0, 1], 75),
        ("video40", [0, 6], 101),
        ("video80", [1, 2, 3, 3], 75),
    ):
        footage.write_video(folder / "videos" / f"{video}.mp4", frames)
        write(folder / "phase_annotations" / f"{video}-phase.txt", official_phases(phases))
    return folder


def test_official_files_become_a_dataset(source, tmp_path):
    dataset, said = convert("cholec80", source, tmp_path / "out", "--margins", "keep")
    assert (dataset.task, dataset.classes, dataset.fps) == ("phase", PHASES, 1.0)
    assert labels(dataset) == {
        "video01": (0, 0, 1),
        "video40": (0, 6, -1, -1, -1),
        "video80": (1, 2, 3),
    }
    assert dataset.splits == {
        "train": ("video01", "video40"),
        "test": ("video80",),
        "authors/train": ("video01", "video40"),
        "32-8-40/train": ("video01",),
        "32-8-40/val": ("video40",),
        "32-8-40/test": ("video80",),
    }
    assert "77 of 80 videos are not there" in said
    assert "labels of video40: labels last 0.4 times as long as the video" in said
    assert "labels of video80" not in said  # a second more than the video is its last frame
    frames, _ = open_frames(dataset.folder, dataset.videos[0]).read(np.arange(3))
    assert footage.numbers(frames) == [0, 25, 50]


def test_pretraining_needs_no_label_file(source, tmp_path):
    for path in (source / "phase_annotations").iterdir():
        path.unlink()
    dataset, _ = convert("cholec80", source, tmp_path / "out", "--unlabelled")
    assert dataset.task == "none" and set(labels(dataset).values()) == {None}
    assert dataset.splits["train"] == ("video01", "video40")


def test_frame_folders_and_labels_a_second_are_read_too(tmp_path):
    source = tmp_path / "in"
    footage.write_images(source / "frames" / "train" / "video02", [(32, 32)] * 3)
    text = "preparation\npreparation\ncalottriangledissection\n"
    write(source / "phase_annotations" / "video02-phase.txt", text)
    dataset, _ = convert("cholec80", source, tmp_path / "out")
    assert labels(dataset) == {"video02": (0, 0, 1)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Frame\tPhase\n0\tPreparation\n1\tPreperation\n", "line 3: unknown class 'Preperation'"),
        ("Frame\tPhase\n0\tPreparation\nx\tPreparation\n", "line 3: 'x' is not a frame number"),
        ("Frame\tPhase\n0\n", "line 2: no label after frame 0"),
        ("Frame\tPhase\n-1\tPreparation\n", "line 2: frame number -1 is below 0"),
        ("Frame\tPhase\n", "no label in it"),
    ],
)
def test_a_wrong_line_is_named(source, tmp_path, text, said):
    path = write(source / "phase_annotations" / "video40-phase.txt", text)
    message = refusal("cholec80", source, tmp_path / "out")
    assert str(path) in message and said in message
    assert not (tmp_path / "out").exists()  # found before any frame was extracted


def test_a_missing_label_file_and_an_empty_folder_are_named(source, tmp_path):
    path = source / "phase_annotations" / "video01-phase.txt"
    path.unlink()
    assert f"{path}: missing" in refusal("cholec80", source, tmp_path / "out")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "videos/video01 or" in refusal("cholec80", empty, tmp_path / "out")
    message = refusal("cholec81", source, tmp_path / "out")
    assert "no such dataset; did you mean cholec80" in message
    message = refusal("multibypass140", source, tmp_path / "out")
    assert message.endswith("did you mean multibypass140-phases or multibypass140-steps?")
    assert "see `surgvista data list`" in refusal("thyroid", source, tmp_path / "out")


def test_labels_at_another_rate_are_a_problem(tmp_path):
    source = tmp_path / "in"
    footage.write_video(source / "videos" / "video02.mp4", 75)
    path = source / "phase_annotations" / "video02-phase.txt"
    write(path, "preparation\n" * 75)  # a line a frame, where without numbers it is one a second
    words = ["--source", source, "--out", tmp_path / "out"]
    code, _, said = run("data", "convert", "cholec80", *words)
    assert code == 1
    assert "labels of video02: labels last 25 times as long as the video; is each of them" in said


def test_repeated_and_missing_frames_are_said(tmp_path):
    path = write(tmp_path / "p.txt", "Frame Phase\n0 Preparation\n2 Preparation\n2 ClippingCutting")
    track = read_phases(path)
    assert track.by_number == {0: 0, 2: 2}
    assert track.notes == ("1 frames have several lines; the last one counts",)


def test_black_margins_are_cut_the_same_for_all_frames(tmp_path):
    source = tmp_path / "in"
    for video, margin in (("video01", 40), ("video02", 0)):
        path = source / "videos" / f"{video}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, (320, 240))
        rng = np.random.default_rng(0)
        for k in range(60):
            image = np.zeros((240, 320, 3), np.uint8)
            if k > 10:  # dark at first, as before the endoscope goes in
                image[:, margin : 320 - margin] = rng.integers(60, 200, 3)
            writer.write(image)
        writer.release()
    dataset, said = convert("cholec80", source, tmp_path / "out", "--unlabelled")
    shapes = {
        video.video: open_frames(dataset.folder, video).read(np.arange(3))[0].shape[1:3]
        for video in dataset.videos
    }
    assert shapes["video02"] == (240, 320)
    assert shapes["video01"][0] == 240 and abs(shapes["video01"][1] - 240) <= 6
    assert "video01.mp4: black margins cut off: 2" in said and "video02.mp4: black" not in said
    dataset, _ = convert("cholec80", source, tmp_path / "kept", "--unlabelled", "--margins", "keep")
    frames, _ = open_frames(dataset.folder, dataset.videos[0]).read(np.arange(3))
    assert frames.shape[1:3] == (240, 320)


def test_list_tells_what_is_expected():
    code, table, _ = run("data", "list")
    assert code == 0 and "train/test" in table and "86,344/98,234" in table
    assert "University Hospital of Strasbourg; CC BY-NC-SA 4.0; https://camma" in " ".join(
        table.split()
    )
    code, page, _ = run("data", "list", "cholec80")
    assert code == 0 and "phase_annotations/video01-phase.txt" in page and "CC BY-NC-SA" in page
    assert "no such dataset" in run("data", "list", "cholec81")[2]
    code, text, _ = run("data", "list", "--json")
    by_name = {facts["name"]: facts for facts in json.loads(text)}
    assert by_name["cholec80"]["splits"]["train"] == {"videos": 40, "frames": 86_344}
    assert json.loads(run("data", "list", "cholec80", "--json")[1]) == by_name["cholec80"]


def test_real_labels_have_the_published_seconds(tmp_path):
    if not REALDATA.is_dir():
        pytest.skip("no real labels beside the checkout")
    for video in VIDEOS:
        packed = REALDATA / "cholec80_phases_1fps" / "groundTruth" / f"{video}-phase.txt.gz"
        text = gzip.decompress(packed.read_bytes()).decode()
        write(tmp_path / "phase_annotations" / f"{video}-phase.txt", text)
        write(tmp_path / "videos" / f"{video}.mp4", "stands for the video")
    tracks = {r.source.video: r.read_labels() for r in read(tmp_path).recordings}
    seconds = {
        split: sum(int(tracks[video].seconds) for video in read(tmp_path).splits[split])
        for split in ("train", "test", "authors/test")
    }
    assert seconds == {"train": 86_344, "test": 98_234, "authors/test": 88_494}
    packed = REALDATA / "cholec80_official" / "video41-phase.txt.gz"
    official = write(tmp_path / "v.txt", gzip.decompress(packed.read_bytes()).decode())
    moments = np.arange(3104)
    assert read_phases(official).at(moments) == tracks["video41"].at(moments)


def test_real_splits_of_32_8_40_videos():
    folder = REALDATA / "cholec80_phases_1fps" / "splits"
    if not folder.is_dir():
        pytest.skip("no real labels beside the checkout")
    for split in ("train", "val", "test"):
        _, *lines = (folder / f"{split}.csv").read_text().split()
        assert tuple(line.split("-")[0] for line in lines) == SPLITS[f"32-8-40/{split}"]
