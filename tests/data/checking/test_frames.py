"""Are frames found that cannot be read, stand still, or are in another video too?"""

import dataclasses
import shutil

import pytest

from surgvista_jax.commands.data_check import check
from surgvista_jax.data.checking.frames import scan_frames
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage import records as records_of
from surgvista_jax.data.storage.manifest import read_dataset
from tests.support import footage
from tests.support.checked_folder import found, make, sound_folder
from tests.support.convert_run import run


@pytest.fixture
def sound(tmp_path):
    return sound_folder(tmp_path / "data")


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


def test_each_pair_of_three_that_are_one_recording_is_found(tmp_path):
    """Not only those that follow one another, of which the sides may be the same."""
    labels = dict.fromkeys("abc", [0] * 20 + [1] * 20)
    dataset = make(tmp_path / "d", labels, {"train": ("a", "b"), "test": ("c",)})
    for video in "bc":
        shutil.rmtree(dataset.folder / "frames" / video)
        shutil.copytree(dataset.folder / "frames" / "a", dataset.folder / "frames" / video)
    pairs = {f.text[:7]: f.level for f in scan_frames(dataset) if f.topic == "duplicates"}
    assert pairs == {"a and b": "warning", "a and c": "error", "b and c": "error"}


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
