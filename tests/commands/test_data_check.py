"""Does a check find what is wrong with a dataset folder, and nothing else?"""

import dataclasses
import gzip
import json
import shutil

import numpy as np
import pytest

from surgvista_jax.commands.data_check import ABOUT, check
from surgvista_jax.data.checking.frames import scan_frames
from surgvista_jax.data.checking.labels import check_splits
from surgvista_jax.data.checking.report import Finding
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.datasets.cholec80 import PHASES, VIDEOS, read_phases
from surgvista_jax.data.labels.names import ClassNames
from surgvista_jax.data.storage import records as records_of
from surgvista_jax.data.storage.manifest import read_dataset, write_dataset
from tests.support import footage
from tests.support.convert_run import run, write
from tests.support.places import REALDATA


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


def test_a_sound_folder(tmp_path):
    labels = [0] * 40 + [1] * 40
    sound = make(tmp_path / "data", {"a": labels, "b": labels}, {"train": ("a",), "test": ("b",)})
    assert found(sound).keys() == {"counts note", "splits note"}
    code, page, _ = run("data", "check", sound.folder)
    assert code == 0 and "nothing wrong" in page and "all 160 frames can be read" in page
    assert "50.00%" in page


def test_what_is_not_known_of_patients_is_not_said(tmp_path):
    labels = [0] * 40 + [1] * 40
    sound = make(tmp_path / "data", {"a": labels, "b": labels}, {"train": ("a",), "test": ("b",)})

    def told(*patients) -> Finding:
        entries = zip(sound.videos, patients, strict=True)
        videos = tuple(dataclasses.replace(video, patient=patient) for video, patient in entries)
        (finding,) = check_splits(dataclasses.replace(sound, videos=videos))
        return finding

    assert told(None, None).level == "note" and "no patients are known" in told(None, None).text
    assert told("p", None).level == "note" and "of 1 videos the patient" in told("p", None).text
    assert told("p", "q") == Finding("good", "splits", "no video and no patient is on two sides")
    assert told("p", "p").level == "error"


def test_videos_in_no_split_are_named(tmp_path):
    labels = dict.fromkeys("abc", [0] * 40 + [1] * 40)
    splits = {"train": ("a",), "test": ("c",)}
    _, finding = check_splits(make(tmp_path / "data", labels, splits))
    assert finding.text == "1 of 3 videos are in no split; no run sees them: b"
    assert finding.level == "note"


def test_clips_of_five_seconds_are_no_wrong_rate(tmp_path):
    """Neither whole-clip labels, nor two in a clip; the clip of a run is longer than they are."""
    labels = {"a": [0] * 5, "b": [1] * 5, "c": [0] * 3 + [1] * 2}
    dataset = make(tmp_path / "data", labels, {})
    texts = found(dataset)
    assert not {topic for topic in texts if topic.endswith("error")}
    assert "16 x 4 at 1 fps span 61 s, the median video 5 s" in texts["clips warning"]
    assert "no split: a run draws 20%" in texts["splits note"]


def test_unreadable_frames_are_named(sound):
    footage.cut(sound.folder / "frames" / "a" / "000007.jpg")
    (sound.folder / "frames" / "b" / "000009.jpg").unlink()
    text = found(sound)["frames error"]
    assert text == "2 of 80 frames cannot be read: a frame 7, b frame 9"
    assert run("data", "check", sound.folder)[0] == 1
    assert run("data", "check", sound.folder, "--no-frames")[0] == 0


def test_frames_that_never_were_are_not_looked_for_one_by_one(sound):
    first, *others = sound.videos
    first = dataclasses.replace(first, num_frames=10**9, labels=None)
    findings = scan_frames(dataclasses.replace(sound, videos=(first, *others)))
    assert "after it were not looked at: is 'num_frames' 1,000,000,000 right?" in str(findings)


def test_the_same_recording_twice_is_found(sound):
    shutil.rmtree(sound.folder / "frames" / "b")
    shutil.copytree(sound.folder / "frames" / "a", sound.folder / "frames" / "b")
    text = found(sound)["duplicates error"]
    assert "a and b share 40 frames" in text and "both sides of a split (train, test)" in text


def test_records_alone_are_looked_at_like_folders(tmp_path):
    """A frozen, cut and missing frame, and one recording twice: found in either form alike."""
    videos = {"a": [0] * 20 + [1] * 20, "b": [0] * 20 + [1] * 20, "c": [1] * 10, "d": [0] * 9}
    dataset = make(tmp_path / "data", videos, {"train": ("a", "c", "d"), "test": ("b",)})
    frames = dataset.folder / "frames"
    shutil.rmtree(frames / "b")
    shutil.copytree(frames / "a", frames / "b")
    footage.cut(frames / "c" / "000007.jpg")
    (frames / "c" / "000008.jpg").unlink()
    for k in range(1, 5):
        shutil.copy(frames / "d" / "000000.jpg", frames / "d" / f"{k:06d}.jpg")
    folders = check(dataset, []).findings
    assert run("data", "pack", dataset.folder, "--workers", 1)[0] == 1  # two frames are unreadable
    shutil.rmtree(frames)
    records = check(read_dataset(dataset.folder), []).findings
    assert records == folders
    texts = {f"{f.topic} {f.level}": f.text for f in records}
    assert texts["frames error"] == "2 of 99 frames cannot be read: c frame 7, c frame 8"
    assert texts["frames warning"].endswith("d (50%)")
    assert "a and b share 40 frames" in texts["duplicates error"]
    (shard,) = (dataset.folder / "records").glob("frames-*")
    shard.unlink()
    records_of._reader.cache_clear()  # a file that is open would still be read
    errors = [f.text for f in check(dataset, []).findings if f.topic == "frames"]
    assert f"{shard}: missing" in errors[0] and "99 of 99 frames cannot be read" in errors[1]


def test_records_of_another_version_are_a_finding(sound):
    assert run("data", "pack", sound.folder, "--workers", 1)[0] == 0
    first, second = sound.videos
    shorter = dataclasses.replace(first, num_frames=30, labels=first.labels[:30])
    dataset = dataclasses.replace(sound, videos=(shorter, second))
    assert "has 40 frames of video 'a' and videos.jsonl 30" in found(dataset)["frames error"]


def test_video_files_are_looked_at_too(sound):
    """Frames beyond the end of a file cannot be read; two files may hold one recording."""
    for name in ("a", "b"):
        footage.write_video(sound.folder / f"{name}.mp4", 50)
    videos = tuple(Video(name, f"{name}.mp4", 5.0, 12, (0, 1) * 6) for name in ("a", "b"))
    texts = found(dataclasses.replace(sound, splits={"train": ("a", "b")}, videos=videos))
    lost = "4 of 24 frames cannot be read: a frame 10, a frame 11, b frame 10, b frame 11"
    assert texts["frames error"] == lost
    assert "a and b share 10 frames" in texts["duplicates warning"]


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
    assert "ProstaTD includes videos of PSI-AVA" in found(prostate, other)["leak warning"]
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
    folder = REALDATA / "surgeon_assist_net"
    if not folder.is_dir():
        pytest.skip("no real labels beside the checkout")
    text = gzip.decompress((folder / "len_1" / "ground_truth.txt.gz").read_bytes()).decode()
    id_of = ClassNames(PHASES).id_of
    given = [id_of(line.split()[1], "") for line in text.split("\n")[1:] if line.strip()]
    throughout, as_told, total = [], [], 0
    for video in VIDEOS[40:]:
        packed = REALDATA / "cholec80_phases_1fps" / "groundTruth" / f"{video}-phase.txt.gz"
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
