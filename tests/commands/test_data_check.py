"""Does a check find what is wrong with a dataset folder, and nothing else?"""

import dataclasses
import gzip
import json

import numpy as np
import pytest

from surgvista_jax.commands.data_check import ABOUT, check
from surgvista_jax.data.checking.labels import check_splits
from surgvista_jax.data.checking.report import Finding, Report
from surgvista_jax.data.datasets.cholec80 import PHASES, VIDEOS, read_phases
from surgvista_jax.data.labels.names import ClassNames
from tests.support import footage
from tests.support.checked_folder import found, make, sound_folder
from tests.support.convert_run import run, write
from tests.support.places import REALDATA


@pytest.fixture
def sound(tmp_path):
    return sound_folder(tmp_path / "data")


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
    for other in (" p1", "p-1", "P\uff11"):
        assert told("P1", other).text.startswith("splits train and test share 1 patient: 'P1' = ")


def test_videos_in_no_split_are_named(tmp_path):
    labels = dict.fromkeys("abc", [0] * 40 + [1] * 40)
    splits = {"train": ("a",), "test": ("c",)}
    _, finding = check_splits(make(tmp_path / "data", labels, splits))
    assert finding.text == "1 of 3 videos are in no split; no run sees them: b"
    assert finding.level == "note"


def test_a_split_without_videos_shows_no_class(tmp_path):
    make(tmp_path / "data", {"a": [0, 1, 1]}, {"train": ("a",), "test": ()})
    code, text, _ = run("data", "check", tmp_path / "data", "--no-frames", "--json")
    assert json.loads(text)["shares"] == {"train": [1, 2], "test": [0, 0]}
    assert "split test: 2 of 2 classes do not occur: first, second" in text


def test_clips_of_five_seconds_are_no_wrong_rate(tmp_path):
    """Neither whole-clip labels, nor two in a clip; the clip of a run is longer than they are."""
    labels = {"a": [0] * 5, "b": [1] * 5, "c": [0] * 3 + [1] * 2}
    dataset = make(tmp_path / "data", labels, {})
    texts = found(dataset)
    assert not {topic for topic in texts if topic.endswith("error")}
    assert "16 x 4 at 1 fps span 61 s, the median video 5 s" in texts["clips warning"]
    assert "no split: a run draws 20%" in texts["splits note"]


def test_labels_that_say_nothing_and_nearly_equal_classes_are_found(tmp_path):
    labels = {"a": [0] * 20 + [1] * 20, "b": [-1] * 40}
    about = {"classes": ("Prep", "Pr\u00e9p.")}
    texts = found(make(tmp_path / "d", labels, {"train": ("a",), "test": ("b",)}, **about))
    assert texts["labels warning"] == "of 1 video no frame has a label: b"
    assert "nearly equal names are classes of their own: 'Prep', " in texts["classes warning"]
    empty = make(tmp_path / "e", {"a": [-1] * 40}, {"train": ("a",)})
    assert found(empty)["labels error"] == "no frame has a label"


def test_a_split_of_pretraining_that_is_not_there_is_refused(sound):
    words = ["data", "check", sound.folder, "--no-frames", "--pretraining", sound.folder]
    code, _, said = run(*words, "--pretraining-split", "trian")
    assert code == 1 and "no split 'trian'; did you mean 'train'?; it has: train, test" in said
    assert run(*words)[0] == 0


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


def test_the_verdict_counts_one_error_as_one():
    findings = [Finding(level, "labels", "") for level in ("error", "warning", "warning", "note")]
    report = Report("", "", "phase", 1.0, "", (), {}, {}, findings)
    assert report.verdict() == "1 error and 2 warnings"


def test_both_sides_of_a_split(sound):
    both = dataclasses.replace(sound, splits={"train": ("a", "b"), "test": ("b",)})
    assert found(both)["splits error"] == "splits train and test share 1 video: b"
    folds = {"fold1/train": ("a",), "fold1/test": ("b",), "fold2/train": ("b",)}
    assert "splits error" not in found(dataclasses.replace(sound, splits=folds))
    videos = tuple(dataclasses.replace(video, patient="p7") for video in sound.videos)
    patients = dataclasses.replace(sound, videos=videos)
    assert found(patients)["splits error"] == "splits train and test share 1 patient: p7"


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


def test_what_could_not_be_read_as_frames_were_extracted_is_told(sound):
    videos = (*sound.videos[:-1], dataclasses.replace(sound.videos[-1], damage=("breaks off",)))
    told = found(dataclasses.replace(sound, videos=videos))
    assert told["videos warning"] == f"{videos[-1].video}: breaks off"


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
