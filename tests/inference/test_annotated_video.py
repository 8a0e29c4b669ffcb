"""Annotated copies of videos: the same pictures at the same times, with what was said in them."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from surgvista_jax.data.storage.video_stream import UnreadableVideo, VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.figures.caption import bgr
from surgvista_jax.inference import annotated_video
from surgvista_jax.inference.annotated_video import Said, annotate_file, annotate_frames
from tests.support.marked_videos import Pictures, number, slowed, write

SAID = Said(np.arange(3.0), 1.0, np.eye(2)[[0, 1, 1]] * 0.9 + 0.05, ("a", "b"))


def decoded(path):
    """Seconds and pictures [H, W, 3] RGB of a file."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert not container.streams.audio
        return [frame.time for frame in frames], [f.to_ndarray(format="rgb24") for f in frames]


def swatch(image):
    """Which class the square in the bar is of."""
    height, width = image.shape[:2]
    top = height - (20 + 6) + 10
    colour = image[top, 8].astype(int)[::-1]
    return int(np.argmin([np.abs(colour - bgr(k)).sum() for k in (0, 1)]))


def test_pictures_keep_their_own_times_and_tell_the_label_then(tmp_path):
    fps = Fraction(25)
    pictures = Pictures(first=1, count=50, times=slowed(50, fps, 25, 2), size=(160, 120))
    source = write(tmp_path / "a.mkv", pictures)
    annotate_file(tmp_path / "b.mp4", source, SAID, VideoOptions())
    seconds, images = decoded(tmp_path / "b.mp4")
    shown = [float(time) for _, time in pictures.shown]
    np.testing.assert_allclose(seconds, shown, atol=2e-3)
    assert [number(image[:80]) for image in images] == [n for n, _ in pictures.shown]
    assert [swatch(image) for image in images] == [int(time >= 1 - 2e-3) for time in shown]


def test_pixels_become_square_and_odd_sides_even(tmp_path):
    pictures = Pictures(codec="mpeg4", count=3, pixel_aspect=Fraction(3, 2), size=(98, 64))
    source = write(tmp_path / "a.mov", pictures)
    annotate_file(tmp_path / "b.mp4", source, SAID, VideoOptions())
    assert {image.shape for image in decoded(tmp_path / "b.mp4")[1]} == {(64, 148, 3)}


def test_what_begins_late_begins_late_in_the_copy(tmp_path):
    pictures = Pictures(count=5, start=Fraction(2))
    source = write(tmp_path / "a.mp4", pictures, sound=(Fraction(0), Fraction(2)))
    annotate_file(tmp_path / "b.mp4", source, SAID, VideoOptions())
    assert decoded(tmp_path / "b.mp4")[0][0] == pytest.approx(2, abs=2e-3)


def test_frames_are_shown_as_long_as_they_count(tmp_path):
    class Frames:
        def images(self, ids):
            return (np.full((65, 97, 3), 40, np.uint8) if k != 1 else None for k in ids)

    annotate_frames(tmp_path / "b.mp4", Frames(), 3, replace(SAID, single=False))
    with pytest.raises(UnreadableVideo, match="no picture of it can be read"):
        annotate_frames(tmp_path / "none.mp4", Frames(), 0, SAID)
    assert not (tmp_path / "none.mp4").exists()
    seconds, images = decoded(tmp_path / "b.mp4")
    assert seconds == [0, 2] and images[0].shape == (66, 98, 3)


def test_a_guard_is_asked_and_nothing_is_left_of_a_copy_that_fails(tmp_path):
    source = write(tmp_path / "a.mp4", Pictures(count=3))

    def guard(path, aside):
        raise UserError(f"{path}: is there")

    with pytest.raises(UserError, match="is there"):
        annotate_file(tmp_path / "b.mp4", source, SAID, VideoOptions(), guard)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_without_an_encoder_it_is_said_what_would_help(monkeypatch):
    monkeypatch.setattr(annotated_video, "codecs_available", {"mpeg4"})
    with pytest.raises(UserError, match="--video: PyAV's FFmpeg has no encoder of H.264 here"):
        annotated_video.encoder()


def test_a_gap_between_moments_has_no_label():
    said = replace(SAID, seconds=np.array([0.0, 1.0, 2.0, 7.0]), values=np.eye(2)[[0, 1, 1, 0]])
    found = [said.at(second) for second in (-0.1, 0.5, 2.9, 3.0, 7.5, 8.0)]
    assert found == [None, 0, 2, None, 3, None]
    several = replace(SAID, values=np.array([[0.9, 0.6], [0.1, 0.2], [0, 0]]), single=False)
    assert several.named(0) == ("a 90 %, b 60 %", "", (0, 1)) and several.named(1)[0] == "–"
