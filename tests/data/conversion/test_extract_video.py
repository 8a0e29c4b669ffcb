"""Does each frame of an extracted video show what was to be seen at its second?"""

import dataclasses
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.codec.context import ThreadType

from surgvista_jax.data.conversion import frame_readers
from surgvista_jax.data.conversion.extract import (
    ExtractConfig,
    Extracted,
    extract,
)
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.storage.open import read_image
from surgvista_jax.data.storage.video_pictures import Decoding
from surgvista_jax.data.storage.video_stream import UnreadableVideo, VideoOptions
from tests.support import footage
from tests.support import marked_videos as marked
from tests.support.marked_videos import Pictures

FPS = Fraction(25)


def run(path: Path, **config) -> tuple[Extracted, list[np.ndarray]]:
    """Extracts a video; returns what came of it and its frames, RGB."""
    out = path.parent / f"frames of {path.name} {len(list(path.parent.iterdir()))}"
    out.mkdir()
    source = SourceVideo(path.name, path.stem, path, False, 0)
    extracted = extract(source, out, ExtractConfig(**config))
    assert len(list(out.iterdir())) == extracted.num_frames
    return extracted, [read_image(file) for file in sorted(out.iterdir())]


def told(frames) -> list[int]:
    return [marked.number(frame) for frame in frames]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("fps", [5, 25])
def test_a_hole_repeats_what_was_seen_before_it_and_is_named(tmp_path, suffix, fps):
    pictures = Pictures(times=marked.with_hole(75, FPS, 50, Fraction(2)))
    path = marked.write(tmp_path / f"v{suffix}", pictures)
    extracted, frames = run(path, fps=fps)
    assert told(frames) == marked.expected(pictures.shown, Fraction(fps))
    repeated = 2 * fps + (fps == 5)  # at 5 fps, 2.0 s is in the hole that begins at 1.96 s
    if fps == 5:
        repeated = told(frames).count(49)
    [text] = [note for note in extracted.notes if "no pictures" in note]
    assert f"at 1.96-4.00 s: {repeated} frames" in text


def test_a_rate_that_changes_shifts_no_frame(tmp_path):
    pictures = Pictures(times=marked.slowed(75, FPS, 25, 3))
    extracted, frames = run(marked.write(tmp_path / "v.mp4", pictures), fps=2)
    assert told(frames) == marked.expected(pictures.shown, Fraction(2))
    assert any("up to 3.9 s off" in note for note in extracted.notes)


def test_time_begins_with_the_sound_or_where_asked_with_the_first_picture(tmp_path):
    pictures = Pictures(start=Fraction(2), first=300)
    path = marked.write(tmp_path / "v.mp4", pictures, sound=(Fraction(0), Fraction(5)))
    extracted, frames = run(path, fps=2)
    assert not any(frame.any() for frame in frames[:4])
    assert told(frames[4:]) == [300, 313, 325, 338, 350, 363]
    [text] = extracted.notes
    assert "begin 2 s after the recording" in text and "black frames: 4" in text
    extracted, frames = run(path, fps=2, clock="picture")
    assert told(frames) == [300, 313, 325, 338, 350, 363]
    assert "count from the first picture" in extracted.notes[0]


def test_pictures_that_begin_with_the_sound_are_not_spoken_of(tmp_path):
    path = marked.write(tmp_path / "v.mkv", Pictures(), sound=(Fraction(0), Fraction(9)))
    extracted, frames = run(path, fps=25)
    assert told(frames) == list(range(75))
    assert not extracted.notes and not extracted.is_short  # nor is longer sound a file cut short


def test_what_an_edit_list_hides_is_not_missing(tmp_path):
    pictures = Pictures(start=-Fraction(20, 25), key_every=50)
    extracted, frames = run(marked.write(tmp_path / "v.mp4", pictures), fps=25)
    assert told(frames) == list(range(20, 75))
    assert not extracted.is_short and not extracted.problems


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_the_largest_stream_that_is_no_single_picture_is_taken(tmp_path, suffix):
    small = Pictures(first=500, size=(64, 48))
    cover = Pictures("mjpeg", count=1, size=(320, 240), cover=suffix == ".mp4")
    streams = [small, Pictures()] + [cover] * (suffix == ".mkv")
    path = marked.write(tmp_path / f"v{suffix}", *streams)
    extracted, frames = run(path, fps=5)
    assert told(frames) == list(range(0, 75, 5))
    [text] = extracted.notes
    assert "1 (96x64 h264) is taken, not 0 (64x48 h264): --stream" in text
    extracted, frames = run(path, fps=5, stream=0)
    assert told(frames) == list(range(500, 575, 5)) and not extracted.notes
    with pytest.raises(UnreadableVideo, match="no stream of pictures 7; there are: 0"):
        run(path, stream=7)


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
@pytest.mark.parametrize("fields", ["top", "bottom"])
def test_interlaced_pictures_are_whole_and_one_field(tmp_path, codec, fields):
    pictures = Pictures(codec, fields=fields, size=(240, 160), count=30)
    path = marked.write(tmp_path / "v.mkv", pictures)
    extracted, frames = run(path, fps=5)
    assert told(frames) == [0, 5, 10, 15, 20, 25]
    assert not any(map(marked.is_combed, frames)) and "deinterlaced" in extracted.notes[0]
    extracted, frames = run(path, fps=5, deinterlace="off")
    assert told(frames) == [0, 5, 10, 15, 20, 25]
    assert all(map(marked.is_combed, frames)) and not extracted.notes


def test_deinterlacing_each_picture_gives_what_deinterlacing_a_few_gives(tmp_path):
    pictures = Pictures("mpeg2video", fields="top", size=(240, 160), count=30)
    path = marked.write(tmp_path / "v.mkv", pictures)
    every, few = run(path, fps=25)[1], run(path, fps=5)[1]
    assert all(np.array_equal(a, b) for a, b in zip(every[::5], few, strict=True))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_are_turned_as_the_header_says(tmp_path, degrees):
    path = marked.write(tmp_path / "v.mp4", Pictures(count=3))
    upright = run(path)[1][0]
    _, [frame] = run(marked.rotate(path, degrees))
    turned = np.rot90(upright, -degrees // 90)
    assert frame.shape == turned.shape
    assert np.abs(frame.astype(int) - turned).mean() < 12  # of two JPEGs


def test_pixels_become_square(tmp_path):
    pictures = Pictures("mpeg2video", pixel_aspect=Fraction(3, 2), count=3)
    extracted, [frame] = run(marked.write(tmp_path / "v.mp4", pictures))
    assert frame.shape == (64, 144, 3) and marked.number(frame) == 0
    assert "made 144x64" in extracted.notes[0]


def test_a_stream_that_breaks_off_is_told_where_threads_that_decode_did_not(tmp_path, monkeypatch):
    """As of two threads FFmpeg gives the last picture, one time in 25, before it fails on it."""
    pictures = frame_readers.pictures

    def silent(video, index, decoding, wanted):
        return pictures(video, index, Decoding(), wanted)

    monkeypatch.setattr(frame_readers, "pictures", silent)
    large = Pictures(key_every=40, grain=40, size=(192, 128))
    path, said = marked.write(tmp_path / "a.ts", large), []
    for share in (1.0, 0.62):
        footage.cut(path, share)
        reader = frame_readers.FileReader(path, VideoOptions(), threads=2)
        assert sum(1 for _ in reader.frames(5))
        said.append(reader.problems())
    assert not said[0] and len(said[1]) == 1 and "is damaged near" in said[1][0]


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".mp4"), ("mpeg4", ".mp4")])
def test_several_threads_tell_damage_in_the_middle(tmp_path, monkeypatch, codec, suffix):
    """FFmpeg may give a picture that it decodes beside others before it sees that it is damaged."""
    pictures, side_by_side = frame_readers.pictures, []

    def late(video, index, decoding, wanted):
        side_by_side.append(bool(video.stream.codec_context.thread_type & ThreadType.FRAME))
        told = Decoding() if side_by_side[-1] else decoding
        return pictures(video, index, told, wanted)

    monkeypatch.setattr(frame_readers, "pictures", late)
    path = marked.write(tmp_path / f"v{suffix}", Pictures(codec, count=250, key_every=25, grain=20))
    said = []
    for damage in (False, True):
        if damage:
            marked.damage(path, 0.4, 0.44)
        side_by_side.clear()
        reader = frame_readers.FileReader(path, VideoOptions(), threads=4)
        assert sum(1 for _ in reader.frames(5)) > 40
        said.append(reader.problems())
    assert not said[0] and len(said[1]) == 1 and "is damaged near" in said[1][0]
    assert not any(side_by_side)


def test_damage_in_the_middle_is_named_with_its_time_and_shifts_nothing(tmp_path):
    path = marked.write(tmp_path / "v.ts", Pictures(count=250, key_every=25, grain=20))
    extracted, frames = run(marked.damage(path, 0.4, 0.44), fps=5)
    shown = told(frames)
    assert shown[:18] == list(range(0, 90, 5)) and shown[30:] == list(range(150, 250, 5))
    [text] = extracted.problems
    assert "damaged near 3.9 s" in text and not extracted.is_short


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_file_cut_short_promises_more_than_it_has(tmp_path, suffix):
    options = {"movflags": "faststart"} if suffix == ".mp4" else None
    path = marked.write(tmp_path / f"v{suffix}", Pictures(count=100, grain=20), options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    extracted, frames = run(path, fps=5)
    assert extracted.is_short and extracted.frames_promised == 100
    assert told(frames)[:9] == list(range(0, 45, 5))


@pytest.mark.parametrize("sounds", [False, True])
@pytest.mark.parametrize(
    ("name", "codec"), [("v.mkv", "libx264"), ("v.webm", "libvpx"), ("v.wmv", "wmv2")]
)
def test_a_late_start_is_no_cut_and_hides_none(tmp_path, name, codec, sounds):
    sound = (Fraction(0), Fraction(9)) if sounds else None
    pictures = Pictures(codec, count=100, grain=20, start=Fraction(5))
    path = marked.write(tmp_path / name, pictures, sound=sound)
    extracted, _ = run(path, fps=5)
    assert not extracted.is_short and extracted.frames_read == 100
    if path.suffix != ".wmv":  # whose header FFmpeg does not believe where less is there
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 5 // 10])
        assert run(path, fps=5)[0].is_short


def test_pictures_without_times_are_counted_and_that_is_said(tmp_path):
    path = marked.write(tmp_path / "v.h264", Pictures())
    extracted, frames = run(path, fps=5)
    assert told(frames) == list(range(0, 75, 5))
    assert "cannot be used" in extracted.notes[0] and extracted.native_fps_told
    extracted, frames = run(path, fps=5, source_fps=50)
    assert told(frames) == list(range(0, 75, 10))
    assert (extracted.native_fps, extracted.native_fps_told) == (50, False)


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "libsvtav1", "mpeg4", "mjpeg"])
def test_codecs_of_today_and_of_yesterday_are_read(tmp_path, codec):
    _, frames = run(marked.write(tmp_path / "v.mkv", Pictures(codec, count=30)), fps=5)
    assert told(frames) == [0, 5, 10, 15, 20, 25]


def test_what_no_decoder_knows_is_refused_in_one_line(tmp_path):
    path = marked.write(tmp_path / "v.avi", Pictures("mjpeg", count=3))
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"QZQZ"))
    with pytest.raises(UnreadableVideo, match="no decoder here knows"):
        run(path)


def test_colours_are_those_of_opencv(tmp_path):
    path = marked.write(tmp_path / "v.avi", Pictures("mjpeg", count=1))
    red = np.zeros((64, 96, 3), np.uint8)
    red[..., 2] = 200
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (96, 64))
    writer.write(red)
    writer.release()
    _, [frame] = run(path)
    assert np.allclose(frame.mean((0, 1)), [200, 0, 0], atol=4)


@pytest.mark.parametrize("codec", ["mjpeg", "libx264", "mpeg4"])
def test_pictures_that_an_avi_left_out_are_a_hole_and_not_missing(tmp_path, codec):
    pictures = Pictures(codec, times=marked.with_hole(75, FPS, 50, Fraction(2)))
    extracted, frames = run(marked.write(tmp_path / "v.avi", pictures), fps=5)
    assert told(frames) == marked.expected(pictures.shown, Fraction(5))
    assert not extracted.is_short and any("1.96-4.00 s" in note for note in extracted.notes)


def test_what_is_lost_in_an_avi_shifts_nothing_after_it(tmp_path):
    path = marked.write(tmp_path / "v.avi", Pictures("mpeg4", count=200, key_every=25, grain=20))
    extracted, frames = run(marked.damage(path, 0.5, 0.53), fps=5)
    assert told(frames)[25:] == list(range(125, 200, 5)) and not extracted.is_short


def test_recordings_one_after_the_other_in_one_file_are_counted(tmp_path):
    whole = b""
    for first in (0, 75):
        whole += marked.write(tmp_path / "part.ts", Pictures(first=first)).read_bytes()
    (tmp_path / "v.ts").write_bytes(whole)
    extracted, frames = run(tmp_path / "v.ts", fps=5)
    assert told(frames) == list(range(0, 150, 5))
    assert any("time stamps cannot be used" in note for note in extracted.notes)


def test_a_recording_that_was_interrupted_is_read_to_its_last_fragment(tmp_path):
    options = {"movflags": "frag_keyframe+empty_moov"}
    path = marked.write(tmp_path / "v.mp4", Pictures(count=96, grain=20), options=options)
    data = path.read_bytes()
    for end in (data.rindex(b"moof") - 4, data.rindex(b"moof") + 40, len(data) * 6 // 10):
        path.write_bytes(data[:end])
        extracted, frames = run(path, fps=5)
        shown = told(frames)
        assert len(shown) >= 9 and shown == list(range(0, 5 * len(shown), 5))


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_pictures_that_nobody_needs_are_left_out_and_change_nothing(tmp_path, codec, monkeypatch):
    pictures = Pictures(codec, times=marked.with_hole(75, FPS, 50, Fraction(2)))
    path = marked.write(tmp_path / "v.mkv", pictures)
    decoded = []
    monkeypatch.setattr(
        frame_readers, "Decoding", lambda: decoded.append(Decoding()) or decoded[-1]
    )
    extracted, few = run(path, fps=2)
    assert decoded[-1].num_decoded < 60 and extracted.frames_read == 75
    monkeypatch.setattr(frame_readers, "needed", lambda *arguments: None)
    same, every = run(path, fps=2)
    assert decoded[-1].num_decoded == 75 and same.notes == extracted.notes
    assert all(np.array_equal(a, b) for a, b in zip(few, every, strict=True))


def test_interlaced_pictures_after_others_get_their_neighbours(tmp_path, monkeypatch):
    pictures = Pictures("mpeg2video", fields="top", size=(240, 160))
    path = marked.write(tmp_path / "v.mkv", pictures)
    right, frames = run(path, fps=5)
    original = frame_readers.read_index
    as_if = lambda *arguments: dataclasses.replace(original(*arguments), interlaced=False)  # noqa: E731
    monkeypatch.setattr(frame_readers, "read_index", as_if)
    extracted, again = run(path, fps=5)
    assert extracted == right
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))
