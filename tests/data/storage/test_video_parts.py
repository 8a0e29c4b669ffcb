"""Do parts of a video that are decoded side by side give the pictures of reading it in order?"""

import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.data.conversion import frame_readers
from surgvista_jax.data.conversion.frame_readers import FileReader
from surgvista_jax.data.storage.video_index import needed, read_index
from surgvista_jax.data.storage.video_parts import divided
from surgvista_jax.data.storage.video_stream import VideoOptions
from tests.support import marked_videos as marked
from tests.support.marked_videos import Pictures

FPS = Fraction(25)
OPEN = {"preset": "ultrafast", "x264-params": "open-gop=1:bframes=2:b-adapt=0"}


def read(path: Path, threads: int, fps: float = 5.0) -> tuple[list[np.ndarray], list[str]]:
    """The frames of a video and everything that is said of it."""
    reader = FileReader(path, VideoOptions(), threads)
    frames = list(reader.frames(fps))
    return frames, [*reader.notes(), *reader.problems(), str(reader.frames_read)]


def assert_alike(path: Path) -> None:
    (frames, said), (in_order, said_in_order) = read(path, 2), read(path, 1)
    assert said == said_in_order
    assert all(np.array_equal(a, b) for a, b in zip(frames, in_order, strict=True))


@pytest.fixture
def read_in_order(monkeypatch):
    """Which files were read in order from their starts."""
    begun = []
    read = frame_readers.pictures
    monkeypatch.setattr(
        frame_readers,
        "pictures",
        lambda video, *rest: begun.append(video) or read(video, *rest),
    )
    return begun


@pytest.mark.parametrize(
    ("suffix", "codec", "more"),
    [
        (".mp4", "libx264", {"options": OPEN}),
        (".mp4", "libx265", {}),
        (".mkv", "libx264", {"options": OPEN}),
        (".mkv", "mpeg2video", {}),
        (".ts", "libx264", {}),
        (".ts", "mpeg2video", {}),
        (".mov", "libx264", {}),
    ],
)
def test_parts_give_what_reading_in_order_gives(tmp_path, suffix, codec, more, read_in_order):
    times = marked.with_hole(120, FPS, 50, Fraction(2))
    pictures = Pictures(codec, 120, times=times, key_every=25)
    path = marked.write(tmp_path / f"v{suffix}", pictures, **more)
    frames, _ = read(path, 2)
    assert not read_in_order  # not one part was given up
    shown = [marked.number(frame[..., ::-1]) for frame in frames]
    assert shown == marked.expected(pictures.shown, Fraction(5))
    assert_alike(path)


def test_each_needed_picture_is_in_one_part(tmp_path):
    path = marked.write(tmp_path / "v.mp4", Pictures(count=200, key_every=25))
    index = read_index(path, VideoOptions())
    wanted = needed(index, index.times.grid(5.0, "container"), "h264")
    parts = divided(index, wanted)
    assert len(parts) == 8 and [part.key for part in parts] == [None, *range(1, 8)]
    assert sorted(stamp for part in parts for stamp in part.wanted) == sorted(wanted)
    for part, after in zip(parts, parts[1:], strict=False):
        assert max(part.wanted) * index.tick < part.until == index.keys[after.key]


def test_damage_is_found_and_named_as_in_order(tmp_path):
    path = marked.write(tmp_path / "v.ts", Pictures(count=250, key_every=25, grain=20))
    assert_alike(marked.damage(path, 0.4, 0.44))


@pytest.mark.parametrize(
    ("suffix", "codec", "shape"),
    [
        (".mp4", "libx264", {"fields": "top", "size": (240, 160)}),
        (".mp4", "libx264", {"start": -20 / FPS}),  # an edit list hides the first 20
        (".ts", "libx264", {"start": 30 / FPS}),
        (".avi", "mpeg2video", {}),  # counted: never in parts
        (".mpg", "mpeg2video", {"grain": 60}),
    ],
)
def test_what_is_read_in_another_way_is_alike_too(tmp_path, suffix, codec, shape):
    pictures = Pictures(codec, count=100, key_every=25, **shape)
    assert_alike(marked.write(tmp_path / f"v{suffix}", pictures))


def test_a_reader_that_stops_early_leaves_no_thread(tmp_path):
    path = marked.write(tmp_path / "v.mp4", Pictures(count=200, key_every=25))
    before = set(threading.enumerate())
    frames = FileReader(path, VideoOptions(), 2).frames(5.0)
    next(frames)
    frames.close()
    assert set(threading.enumerate()) <= before
