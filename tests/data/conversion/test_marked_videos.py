"""Do the videos of the tests hold what they promise, by PyAV's own word?"""

import os
from fractions import Fraction

import av
import pytest

from tests.support import marked_videos as marked
from tests.support.marked_videos import Pictures

RATE = Fraction(25)
CONTAINERS = {
    ".mp4": ["libx264", "mpeg4", "libvpx-vp9", "libsvtav1"],
    ".mkv": ["libx264", "libx265", "mpeg2video", "ffv1"],
    ".mov": ["libx264", "prores", "mjpeg"],
    ".ts": ["libx264", "mpeg2video"],
    ".mpg": ["mpeg1video", "mpeg2video"],
    ".webm": ["libvpx-vp9", "libvpx"],
    ".flv": ["flv"],
    ".wmv": ["wmv2"],
}
EVERY = [(suffix, codec) for suffix, codecs in CONTAINERS.items() for codec in codecs]


def wanted(pictures: Pictures) -> list[tuple[int, float]]:
    return [(number, round(float(second), 3)) for number, second in pictures.shown]


@pytest.mark.parametrize(("suffix", "codec"), EVERY)
@pytest.mark.parametrize(
    ("times", "start"),
    [
        (marked.with_hole(50, RATE, 20, Fraction(1)), 0),
        (marked.slowed(50, RATE, 20, 3), 0),
        (None, Fraction(1)),
    ],
    ids=["hole", "slowed", "late"],
)
def test_pictures_tell_their_numbers_at_their_times(tmp_path, suffix, codec, times, start):
    grain = 60 if suffix == ".mpg" else 0
    pictures = Pictures(codec, 50, times=times, start=start, grain=grain)
    sound = (Fraction(0), Fraction(3)) if start else None
    path = marked.write(tmp_path / f"v{suffix}", pictures, sound=sound)
    assert marked.shown(path) == wanted(pictures)


@pytest.mark.parametrize("fields", ["top", "bottom"])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "libx264"), (".mpg", "mpeg2video"), (".avi", "mpeg4"), (".mov", "prores")],
)
def test_fields_are_of_two_times_and_flagged(tmp_path, suffix, codec, fields):
    pictures = Pictures(codec, 20, fields=fields, grain=60 if suffix == ".mpg" else 0)
    with av.open(str(marked.write(tmp_path / f"v{suffix}", pictures))) as container:
        frames = list(container.decode(video=0))
    images = [frame.to_ndarray(format="gray") for frame in frames]
    assert [marked.number(image) for image in images] == list(range(20))
    assert all(frame.interlaced_frame for frame in frames)
    assert all(marked.is_combed(image) for image in images)


def test_pictures_without_fields_are_not_combed(tmp_path):
    with av.open(str(marked.write(tmp_path / "v.mp4", Pictures(count=20)))) as container:
        frames = list(container.decode(video=0))
    assert not any(frame.interlaced_frame for frame in frames)
    assert not any(marked.is_combed(frame.to_ndarray(format="gray")) for frame in frames)


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg", "ffv1"])
def test_avi_holds_holes_on_the_grid_of_its_rate(tmp_path, codec):
    times = marked.with_hole(50, RATE, 20, Fraction(1))
    pictures = Pictures(codec, 50, times=times, between=0)
    assert marked.shown(marked.write(tmp_path / "v.avi", pictures)) == wanted(pictures)


def test_pictures_before_an_edit_list_are_in_the_file_but_not_shown(tmp_path):
    pictures = Pictures(count=50, start=Fraction(-18, 25))
    path = marked.write(tmp_path / "v.mp4", pictures)
    assert marked.shown(path) == wanted(pictures)
    assert marked.shown(path)[0] == (18, 0)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 50


def test_streams_stand_in_the_file_as_they_are_given(tmp_path):
    cover = Pictures("mjpeg", 1, first=999, size=(160, 120), cover=True)
    side = Pictures(count=20, first=500, size=(48, 32))
    path = marked.write(tmp_path / "v.mkv", cover, side, Pictures(count=20))
    assert marked.shown(path, 0) == [(999, 0)]
    assert marked.shown(path, 1) == wanted(side)
    assert marked.shown(path, 2) == wanted(Pictures(count=20))


def test_a_cover_picture_is_marked_as_one(tmp_path):
    cover = Pictures("mjpeg", 1, first=999, size=(160, 120), cover=True)
    path = marked.write(tmp_path / "v.mp4", Pictures(count=20), cover)
    with av.open(str(path)) as container:
        covers = [av.stream.Disposition.attached_pic in s.disposition for s in container.streams]
    assert covers == [False, True]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_told(tmp_path, degrees):
    path = marked.rotate(marked.write(tmp_path / "v.mp4", Pictures(count=5)), degrees)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert frame.rotation % 360 == -degrees % 360  # FFmpeg counts against the clock


def test_pixels_may_be_oblong(tmp_path):
    pictures = Pictures(count=5, pixel_aspect=Fraction(16, 11))
    with av.open(str(marked.write(tmp_path / "v.mp4", pictures))) as container:
        assert container.streams.video[0].codec_context.sample_aspect_ratio == Fraction(16, 11)


def test_a_stream_without_a_container_has_no_time_stamps(tmp_path):
    path = marked.write(tmp_path / "v.h264", Pictures(count=20))
    assert [number for number, _ in marked.shown(path)] == list(range(20))
    with av.open(str(path)) as container:
        assert all(packet.pts is None for packet in container.demux(video=0))


def test_damage_costs_pictures_in_the_middle_alone(tmp_path):
    path = marked.write(tmp_path / "v.ts", Pictures("mpeg2video", 150))
    numbers = [number for number, _ in marked.shown(marked.damage(path))]
    assert numbers[:50] == list(range(50)) and numbers[-40:] == list(range(110, 150))


def test_the_expected_numbers_follow_the_rule_of_holes():
    pictures = Pictures(count=50, times=marked.with_hole(50, RATE, 26, Fraction(1)))
    # At 2 frames a second: 1.0 s is picture 25; 1.5 s lies in the hole of 1.0 to 2.04 s.
    assert marked.expected(pictures.shown, Fraction(2)) == [0, 12 + 1, 25, 25, 26, 37 + 1]
    late = Pictures(count=50, start=Fraction(1)).shown
    assert marked.expected(late, Fraction(2)) == [-1, -1, 0, 13, 25, 38]
    assert marked.expected(late, Fraction(2), clock=Fraction(1)) == [0, 13, 25, 38]


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="not on Linux")
def test_no_encoder_leaves_the_process_other_scheduling(tmp_path):
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    for k, codec in enumerate(marked.OPTIONS):
        marked.write(tmp_path / f"{k}.mkv", Pictures(codec=codec, count=5))
        assert (os.sched_getscheduler(0), os.sched_getparam(0)) == before, codec
