"""Does a check find what is wrong with a dataset folder, and nothing else?"""

import dataclasses
import gzip
import json
import shutil

import footage
import numpy as np
import pytest
from convert_run import REAL, run, write

from surgvista_jax.data.check import ABOUT, check
from surgvista_jax.data.datasets.cholec80 import PHASES, VIDEOS, read_phases
from surgvista_jax.data.labels.names import ClassNames
from surgvista_jax.data.manifest import Dataset, Video, read_dataset, write_dataset


def make(folder, videos: dict[str, list], splits, **changes) -> Dataset:
    """A dataset folder whose videos have these labels and frames that tell their numbers."""
    entries = []
    for number, (video, labels) in enumerate(videos.items()):
        frames = folder / "frames" / video
        footage.write_images(frames, [(32, 24 + number)] * len(labels), ".jpg", "{:06d}")
        entries.append(Video(video, f"frames/{video}", 1.0, len(labels), tuple(labels)))
    fields = {
        "folder": folder,
        "name": "Made up",
        "task": "phase",
        "classes": ("first", "second"),
        "label_kind": "single",
        "fps": 1.0,
        "splits": splits,
        "procedure": "",
        "licence": "",
        "citation": "",
        "source_format": "videos",
        "videos": tuple(entries),
    }
    dataset = Dataset(**fields | changes)
    write_dataset(dataset)
    return read_dataset(folder)


@pytest.fixture
def sound(tmp_path):
    videos = {"a": [0] * 20 + [1] * 20, "b": [0] * 20 + [1] * 20}
    return make(tmp_path / "data", videos, {"train": ("a",), "test": ("b",)})


def found(dataset: Dataset, *pretraining: Dataset) -> dict[str, str]:
    """Topic and level -> text, of all but what is good."""
    report = check(dataset, list(pretraining))
    return {f"{f.topic} {f.level}": f.text for f in report.findings if f.level != "good"}


def test_a_sound_folder(sound):
    assert found(sound).keys() == {"counts note"}
    code, page, _ = run("data", "check", sound.folder)
    assert code == 0 and "nothing wrong" in page and "all 80 frames can be read" in page
    assert "50.00%" in page


def test_unreadable_frames_are_named(sound):
    footage.cut(sound.folder / "frames" / "a" / "000007.jpg")
    (sound.folder / "frames" / "b" / "000009.jpg").unlink()
    text = found(sound)["frames error"]
    assert text == "2 of 80 frames cannot be read: frames/a/000007.jpg, frames/b/000009.jpg"
    assert run("data", "check", sound.folder)[0] == 1
    assert run("data", "check", sound.folder, "--no-frames")[0] == 0


def test_the_same_recording_twice_is_found(sound):
    shutil.rmtree(sound.folder / "frames" / "b")
    shutil.copytree(sound.folder / "frames" / "a", sound.folder / "frames" / "b")
    text = found(sound)["duplicates error"]
    assert "a and b share 40 frames" in text and "both sides of a split (train, test)" in text


def test_a_frozen_picture_is_found(sound):
    for k in range(10, 30):
        shutil.copy(sound.folder / "frames/a/000009.jpg", sound.folder / f"frames/a/{k:06d}.jpg")
    assert found(sound)["frames warning"].endswith("a (51%)")


def test_gaps_absent_classes_and_flicker_are_found(tmp_path):
    labels = [0] * 30 + [-1] * 70 + [0] * 30
    dataset = make(tmp_path / "gap", {"a": labels}, {"train": ("a",)})
    texts = found(dataset)
    assert texts["labels warning"] == (
        "70 of 130 frames have no label; the longest gap lasts 70 s, in a"
    )
    assert texts["classes warning"] == "split train: 1 of 2 classes do not occur: second"
    dataset = make(tmp_path / "flicker", {"a": [0, 1] * 20}, {"train": ("a",)})
    assert "half of all phases last less than 1.0 s" in found(dataset)["labels error"]


def test_both_sides_of_a_split(sound):
    both = dataclasses.replace(sound, splits={"train": ("a", "b"), "test": ("b",)})
    assert found(both)["splits error"] == "splits train and test share 1 videos: b"
    folds = {"fold1/train": ("a",), "fold1/test": ("b",), "fold2/train": ("b",)}
    assert "splits error" not in found(dataclasses.replace(sound, splits=folds))
    videos = tuple(dataclasses.replace(video, patient="p7") for video in sound.videos)
    patients = dataclasses.replace(sound, videos=videos)
    assert found(patients)["splits error"] == "splits train and test share 1 patients: p7"


def test_rate_traps(sound):
    footage.write_images(sound.folder / "frames" / "a", [(32, 24)] * 50, ".jpg", "{:06d}")
    assert "holds 50 frames, videos.jsonl says 40" in found(sound)["rates error"]
    lines = (sound.folder / "videos.jsonl").read_text().splitlines()
    entry = json.loads(lines[0])
    entry["labels"] = [0] * 40 * 25
    (sound.folder / "videos.jsonl").write_text(json.dumps(entry) + "\n" + lines[1])
    code, _, said = run("data", "check", sound.folder)
    assert code == 1 and "line 1: 1000 labels for 40 frames" in said
    assert "25 times as many; is it their rate that differs?" in said


def test_counts_against_the_published_ones(tmp_path):
    videos = {f"video{k:02d}": [k % 2] * 8 for k in range(1, 41)}
    dataset = make(tmp_path / "d", videos, {"train": tuple(videos)}, source_format="cholec80")
    report = check(dataset, [], look_at_frames=False)
    texts = [f.text for f in report.findings if f.topic == "counts"]
    assert "320 frames, published are 86,344; that is 0.00371 times as many" in texts[0]
    assert texts[1] == "split test: 0 videos, published are 40"


def test_operations_of_the_test_in_pretraining_are_found(tmp_path):
    test = make(
        tmp_path / "t50",
        {"VID06": [0] * 8, "VID92": [1] * 8},
        {"rdv/test": ("VID06", "VID92")},
        source_format="cholect50",
    )
    pretraining = make(
        tmp_path / "c80", {"video06": [0] * 8}, {"train": ("video06",)}, source_format="cholec80"
    )
    text = found(test, pretraining)["leak error"]
    assert "1 of 2 operations of split rdv/test" in text and text.endswith("Made up: VID06")
    words = ["data", "check", test.folder, "--pretraining", pretraining.folder]
    assert run(*words)[0] == 1
    prostate = dataclasses.replace(test, source_format="prostatd")
    other = dataclasses.replace(pretraining, source_format="psi-ava")
    assert "ProstaTD takes in videos of PSI-AVA" in found(prostate, other)["leak warning"]
    assert "leak error" not in found(test, other)


def test_the_page_holds_everything(sound, tmp_path):
    page = tmp_path / "page.html"
    assert run("data", "check", sound.folder, "--html", page)[0] == 0
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 12 and "50.00%" in text
    assert "all 80 frames can be read" in text
    assert "src=" not in text.replace('src="data:', "")  # nothing from elsewhere
    code, out, _ = run("data", "check", sound.folder, "--json")
    assert json.loads(out)["splits"] == {"train": [1, 40], "test": [1, 40]}


def test_the_help_explains_ground_truth_of_a_second_less_a_video(tmp_path):
    """What it says of the 98,194 lines for the 98,234 seconds of videos 41 to 80."""
    folder = REAL / "surgeon_assist_net"
    if not folder.is_dir():
        pytest.skip("no real labels beside the checkout")
    text = gzip.decompress((folder / "len_1" / "ground_truth.txt.gz").read_bytes()).decode()
    id_of = ClassNames(PHASES).id_of
    given = [id_of(line.split()[1], "") for line in text.split("\n")[1:] if line.strip()]
    throughout, as_told, total = [], [], 0
    for video in VIDEOS[40:]:
        packed = REAL / "cholec80_phases_1fps" / "groundTruth" / f"{video}-phase.txt.gz"
        path = write(tmp_path / "p.txt", gzip.decompress(packed.read_bytes()).decode())
        track = read_phases(path)
        seconds = track.at(np.arange(int(track.seconds)))
        total += len(seconds)
        throughout += seconds[:-1]
        as_told += seconds[1:] if video in ("video49", "video74") else seconds[:-1]
    assert (len(given), total) == (98_194, 98_234)
    assert sum(a != b for a, b in zip(given, throughout, strict=True)) == 12
    assert given == as_told
    assert all(said in ABOUT for said in ("98,194", "98,234", "video49 and video74", "12 lines"))
