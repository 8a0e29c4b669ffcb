"""Are frames read straight from a video file those that extraction would have kept?"""

import os
import pickle
import threading
from fractions import Fraction

import cv2
import numpy as np
import pytest

from surgvista_jax.data.conversion.frame_readers import FileReader
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.rates import ROUNDING, kept_index
from surgvista_jax.data.storage import video_file
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.data.storage.video_file import VideoFile
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.errors import UserError
from tests.support import footage
from tests.support import marked_videos as marked
from tests.support.marked_videos import Pictures
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


FPS = Fraction(25)
FILES = {
    "h264.mp4": Pictures(),
    "h264.ts": Pictures(),
    "h264.mkv": Pictures(),
    "vp9.webm": Pictures("libvpx-vp9"),
    "vp8.webm": Pictures("libvpx"),
    "dvd.mpg": Pictures("mpeg2video", grain=20),
    "wide.mov": Pictures("mpeg4", pixel_aspect=Fraction(3, 2)),
    "edited.mp4": Pictures(start=-Fraction(20, 25), key_every=50),
    "fields.mpg": Pictures("mpeg2video", fields="top", grain=20),
    "fields.mkv": Pictures(fields="bottom"),
    "hole.mp4": Pictures(times=marked.with_hole(75, FPS, 50, Fraction(2))),
    "slowed.mkv": Pictures(times=marked.slowed(75, FPS, 25, 3)),
    "late.mp4": Pictures(start=Fraction(1)),
    "counted.h264": Pictures(),
    "reordered.avi": Pictures("mpeg4"),
}


def from_start(path, fps: float) -> list[np.ndarray]:
    """The frames that extraction keeps, before it reduces them, RGB."""
    source = SourceVideo(path.name, path.stem, path, False, 0)
    reader = FileReader(source.path, VideoOptions(), 1)
    return [frame[..., ::-1] for frame in reader.frames(min(fps, reader.fps))]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fps", [10.0, 25.0])
def test_any_place_has_the_very_frames_of_extraction(tmp_path, name, fps):
    sound = (Fraction(0), Fraction(2)) if name == "late.mp4" else None
    path = marked.write(tmp_path / name, FILES[name], sound=sound)
    whole = from_start(path, fps)
    reader = VideoFile(path, len(whole) + 5, fps)
    last = len(whole) - 1
    for ids in ([last, 0, 13, 14], [12], [0, 4, 8, 11], [last + 1], [17, 16, 15]):
        for frame_id, frame in zip(ids, reader.images(ids), strict=True):
            if frame_id > last:
                assert frame is None
            else:
                np.testing.assert_array_equal(frame, whole[frame_id])


def test_pictures_that_are_refreshed_stripe_by_stripe_are_decoded_from_where_all_are(
    tmp_path, monkeypatch
):
    options = {"preset": "ultrafast", "intra-refresh": "1"}
    monkeypatch.setitem(marked.OPTIONS, "libx264", options)
    path = marked.write(tmp_path / "v.mp4", Pictures(key_every=20, between=0, count=120))
    whole = from_start(path, 25.0)
    for frame_id in (85, 90, 45):
        [frame] = VideoFile(path, 120, 25.0).images([frame_id])
        np.testing.assert_array_equal(frame, whole[frame_id])


def test_one_file_is_gone_through_once_for_all_its_clips(tmp_path, monkeypatch):
    calls = []
    original = video_file.read_index
    monkeypatch.setattr(
        video_file, "read_index", lambda *args: calls.append(args) or original(*args)
    )
    path = marked.write(tmp_path / "v.mp4", Pictures())
    for first in (0, 30, 60):
        VideoFile(path, 75, 25.0).read(np.arange(first, first + 4))
    assert len(calls) == 1
    marked.write(path, Pictures(first=100, count=60))  # another file: gone through anew
    [frame] = VideoFile(path, 60, 25.0).images([5])
    assert marked.number(frame) == 105 and len(calls) == 2


def test_it_pickles_and_making_one_touches_no_file(tmp_path):
    reader = VideoFile(tmp_path / "none.mp4", 10, 25.0)
    assert pickle.loads(pickle.dumps(reader)) == reader


def test_a_long_file_without_times_is_refused_with_what_to_do(tmp_path, monkeypatch):
    path = marked.write(tmp_path / "v.h264", Pictures())
    monkeypatch.setattr(video_file, "MOST_COUNTED", 50)
    with pytest.raises(UserError, match=r"v\.h264: .* extract them first"):
        VideoFile(path, 75, 25.0).read(np.array([3]))


@pytest.mark.parametrize("name", ["v.mp4", "v.ts", "v.avi"])
def test_nothing_stays_open_and_nothing_is_printed(tmp_path, name, capfd):
    codec = "mpeg4" if name == "v.avi" else "libx264"
    path = marked.write(tmp_path / name, Pictures(codec, grain=20, key_every=25))
    marked.damage(path, 0.5, 0.55)
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        VideoFile(path, 75, 25.0).read(np.arange(20, 60, 4))
    images = VideoFile(path, 75, 25.0).images([3, 50])
    next(images)
    images.close()  # half read
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, files)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not REALDATA.is_dir(), reason="the real videos are absent")
@pytest.mark.parametrize("name", ["cholec80_video01/clips/video01_000.mp4", "bigbuckbunny.mp4"])
def test_jumps_in_real_h264_find_the_frames_that_reading_on_finds(name):
    whole = from_start(REALDATA / name, 25.0)
    ids = [109, 0, 60, 61, 100, 30]
    for frame_id, frame in zip(ids, VideoFile(REALDATA / name, 110, 25.0).images(ids), strict=True):
        np.testing.assert_array_equal(frame, whole[frame_id])
