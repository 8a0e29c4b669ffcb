"""Are frames read straight from a video file those that extraction would have kept?"""

import cv2
import numpy as np
import pytest

from surgvista_jax.data.dataset import Video
from surgvista_jax.data.rates import ROUNDING, kept_index
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.data.storage.video_file import VideoFile
from tests.support import footage
from tests.support.places import REALDATA


@pytest.mark.parametrize("name", ["v.mp4", "v.avi"])
@pytest.mark.parametrize("ids", [[0, 1, 2], [0, 0, 40, 44, 99], [99, 3, 50], [7]])
def test_every_frame_is_found_at_the_rate_of_the_file(tmp_path, name, ids):
    path = footage.write_video(tmp_path / name, 100)
    frames, unreadable = VideoFile(path, 100, 25.0).read(np.array(ids))
    assert footage.numbers(frames) == ids and not unreadable.any()


def test_another_rate_takes_the_frames_that_extraction_takes(tmp_path):
    footage.write_video(tmp_path / "v.mp4", 100)
    opened = open_frames(tmp_path, Video("v", "v.mp4", 1.0, 4))
    assert isinstance(opened, VideoFile)
    assert footage.numbers(opened.read(np.arange(4))[0]) == [0, 25, 50, 75]
    half = VideoFile(tmp_path / "v.mp4", 10, 2.0)
    assert footage.numbers(half.read(np.arange(8))[0]) == [0, 13, 25, 38, 50, 63, 75, 88]
    faster = VideoFile(tmp_path / "v.mp4", 100, 50.0)  # there are no more than 25 a second
    assert footage.numbers(faster.read(np.array([0, 1, 30]))[0]) == [0, 1, 30]


@pytest.mark.parametrize("keep_every", [1.0, 1.001, 12.5, 24.975, 25.0])
def test_as_many_frames_are_kept_as_lie_in_the_video(keep_every):
    for num_frames in range(1, 200):
        count = int((num_frames - 1 + ROUNDING) / keep_every) + 1
        assert kept_index(count - 1, keep_every) < num_frames <= kept_index(count, keep_every)


def test_colours_are_rgb(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    writer.write(np.full((48, 64, 3), (200, 0, 0), np.uint8))  # blue in OpenCV's order
    writer.release()
    frames, _ = VideoFile(tmp_path / "v.avi", 1, 25.0).read(np.array([0]))
    assert np.allclose(frames.mean((0, 1, 2)), [0, 0, 200], atol=6)


@pytest.mark.parametrize("how", ["too short", "no video", "missing"])
def test_what_the_file_lacks_is_unreadable(tmp_path, how):
    path = footage.write_video(tmp_path / "v.mp4", 40)
    if how == "missing":
        path.unlink()
    if how == "no video":
        path.write_bytes(b"no video")
    frames, unreadable = VideoFile(path, 100, 25.0).read(np.array([0, 30, 60, 99]))
    if how == "too short":
        assert unreadable.tolist() == [False, False, True, True]
        assert footage.numbers(frames) == [0, 30, 30, 30]
    else:
        assert unreadable.all() and not frames.any()


@pytest.mark.skipif(not REALDATA.is_dir(), reason="the real videos are absent")
@pytest.mark.parametrize("name", ["cholec80_video01/clips/video01_000.mp4", "bigbuckbunny.mp4"])
def test_jumps_in_real_h264_find_the_frames_that_reading_on_finds(name):
    capture = cv2.VideoCapture(str(REALDATA / name))
    decoded = []
    while len(decoded) < 110:
        decoded.append(capture.read()[1][..., ::-1])
    ids = np.array([109, 0, 60, 61, 100, 30])
    frames, unreadable = VideoFile(REALDATA / name, 110, 25.0).read(ids)
    assert not unreadable.any()
    for frame, frame_id in zip(frames, ids, strict=True):
        np.testing.assert_array_equal(frame, decoded[frame_id])
