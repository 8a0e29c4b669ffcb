"""Are frames of mistakes those of their seconds, however they are stored, small and few?"""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from surgvista_jax.data.storage.decode import decode_image
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.packing import pack
from surgvista_jax.errors import UserError
from surgvista_jax.reports import mistake_frames
from surgvista_jax.reports.mistake_frames import MOST_BYTES, SIDE, read_pictures, wanted_of
from tests.support import footage
from tests.support.checked_folder import make

WANTED = [("a", 7.0), ("b", 0.0), ("a", 3.0)]


def told(pictures: dict) -> dict:
    """What number each picture tells."""
    return {key: footage.numbers([decode_image(jpeg)])[0] for key, jpeg in pictures.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    labels = {"a": [0] * 9, "b": [0] * 4}
    return make(tmp_path / "set", labels, {}).folder


def test_frames_of_a_dataset_as_files_and_as_records(folder: Path) -> None:
    expected = {("a", 7.0): 7, ("b", 0.0): 0, ("a", 3.0): 3}
    pictures, notes = read_pictures(WANTED, [folder], 99.0)  # the dataset's own rate counts
    assert told(pictures) == expected and notes == []
    pack(read_dataset(folder), num_workers=1)
    shutil.rmtree(folder / "frames")
    assert told(read_pictures(WANTED, [folder], 1.0)[0]) == expected


def test_frames_of_video_files_and_of_folders_of_frames(tmp_path: Path) -> None:
    footage.write_video(tmp_path / "videos" / "a.mp4", num_frames=90, fps=10)
    footage.write_images(tmp_path / "videos" / "b", [(64, 48)] * 3, ".jpg", "{:06d}")
    pictures, notes = read_pictures(WANTED, [tmp_path / "videos"], 1.0)
    assert told(pictures) == {("a", 7.0): 70, ("b", 0.0): 0, ("a", 3.0): 30} and notes == []


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(folder: Path) -> None:
    footage.cut(folder / "frames" / "a" / "000003.jpg")
    wanted = [*WANTED, ("b", 40.0), ("c", 1.0), ("d", 1.0)]
    pictures, notes = read_pictures(wanted, [folder], 1.0)
    assert told(pictures) == {("a", 7.0): 7, ("b", 0.0): 0}
    assert notes == [
        f"Frames: 2 videos are not in {folder}, such as c.",
        "Frames: 2 could not be read, such as a 0:00:03.",
    ]
    with pytest.raises(UserError, match="none of the videos is there, such as d"):
        read_pictures([("d", 1.0)], [folder], 1.0)


def test_pictures_are_small_whatever_is_in_them() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    jpeg = mistake_frames._jpeg(noise)
    height, width = decode_image(jpeg).shape[:2]
    assert (width, height) == (SIDE, 144) and len(jpeg) <= MOST_BYTES
    red = np.full((8, 8, 3), (250, 10, 10), np.uint8)  # neither enlarged nor in another order
    small = cv2.imdecode(np.frombuffer(mistake_frames._jpeg(red), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert small.shape == (8, 8, 3) and small[4, 4, 0] > 200 > small[4, 4, 2]


def test_each_moment_is_read_once() -> None:
    one, two = {"video": "a", "second": 1.0}, {"video": "a", "second": 2.0}
    pairs = [{"items": [two]}, {"items": [one, two]}]
    assert wanted_of({"surest": [one, one], "pairs": pairs}) == [("a", 1.0), ("a", 2.0)]
