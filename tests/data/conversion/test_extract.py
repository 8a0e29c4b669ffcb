"""Are the right frames kept, at the right size, and is every fault of a video named?"""

import itertools
import math
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from surgvista_jax.data.conversion.extract import (
    ExtractConfig,
    extract,
)
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.rates import is_rate, kept_index
from surgvista_jax.data.storage.open import read_image
from surgvista_jax.data.storage.video_stream import UnreadableVideo
from tests.support import footage
from tests.support.places import REALDATA


def run(path: Path, **config):
    """Extracts `path`; returns what came of it and the written frames."""
    out = path.parent / f"frames of {path.name}"
    out.mkdir()
    source = SourceVideo(path.name, path.stem, path, path.is_dir(), 0)
    extracted = extract(source, out, ExtractConfig(**config))
    names = sorted(file.name for file in out.iterdir())
    assert names == [f"{index:06d}.jpg" for index in range(extracted.num_frames)]
    return extracted, [read_image(out / name) for name in names]


@pytest.mark.parametrize("native", [Fraction(25), Fraction(30000, 1001), Fraction(24), Fraction(7)])
@pytest.mark.parametrize("fps", [Fraction(1), Fraction(5), Fraction(1, 3), Fraction(13, 2)])
def test_frame_k_is_the_first_at_or_after_its_time(native, fps):
    for k in [0, 1, 2, 3, 59, 60, 3599, 86399]:
        exact = math.ceil(Fraction(k) / fps * native)
        assert kept_index(k, float(native) / float(fps)) == exact


def test_a_rounded_rate_does_not_shift_frames():
    assert [kept_index(k, 23.976023976 / 23.976) for k in range(900)] == list(range(900))


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_every_fifth_frame_of_25_fps_at_5_fps(tmp_path, suffix):
    extracted, frames = run(footage.write_video(tmp_path / f"v{suffix}"), fps=5)
    assert footage.numbers(frames) == list(range(0, 60, 5))
    assert (extracted.fps, extracted.native_fps) == (5, 25)
    assert (extracted.frames_read, extracted.frames_promised) == (60, 60)
    assert not extracted.is_short and not extracted.is_long


def test_a_video_below_the_wanted_rate_keeps_all_frames_at_its_own(tmp_path):
    extracted, frames = run(footage.write_video(tmp_path / "v.avi", 20, fps=10), fps=25)
    assert footage.numbers(frames) == list(range(20))
    assert extracted.fps == 10


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 360), (256, 455)),
        ((360, 640), (455, 256)),
        ((64, 48), (48, 64)),
        ((65, 49), (49, 65)),
    ],
)
def test_short_side_is_reduced_and_never_enlarged(tmp_path, size, expected):
    folder = footage.write_images(tmp_path / "v", [size] * 2)
    _, frames = run(folder)
    assert [frame.shape for frame in frames] == [(*expected, 3)] * 2


def test_reduced_pixels_are_means_of_areas(tmp_path):
    (tmp_path / "v").mkdir()
    checks = np.indices((512, 512)).sum(0) % 2 * 255  # any sampling of single pixels gives 0 or 255
    cv2.imwrite(str(tmp_path / "v" / "0.png"), checks.astype(np.uint8))
    _, [frame] = run(tmp_path / "v")
    assert frame.shape == (256, 256, 3)
    assert np.all(np.abs(frame.astype(int) - 128) <= 1)


def test_images_are_read_in_the_order_of_their_numbers(tmp_path):
    folder = footage.write_images(tmp_path / "v", [(32, 32)] * 12)  # frame_10 after frame_9
    (folder / ".hidden.png").write_text("no image")
    extracted, frames = run(folder)
    assert footage.numbers(frames) == list(range(12))
    assert extracted.fps == 1


def test_source_fps_is_the_rate_of_a_frame_folder(tmp_path):
    folder = footage.write_images(tmp_path / "v", [(32, 32)] * 12)
    extracted, frames = run(folder, fps=2, source_fps=6)
    assert footage.numbers(frames) == [0, 3, 6, 9]
    assert (extracted.fps, extracted.native_fps_told) == (2, False)


def test_colour_kinds_become_8_bit_colour(tmp_path):
    (tmp_path / "v").mkdir()
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 2] = 200  # OpenCV's order is blue, green, red
    images = [
        np.full((32, 32), 100, np.uint8),
        np.full((32, 32, 3), 100 * 256, np.uint16),
        np.full((32, 32, 4), 100, np.uint8),
        red,
    ]
    for index, image in enumerate(images):
        cv2.imwrite(str(tmp_path / "v" / f"{index}.png"), image)
    _, frames = run(tmp_path / "v")
    for frame in frames[:3]:
        assert frame.shape == (32, 32, 3) and np.all(np.abs(frame.astype(int) - 100) <= 1)
    assert np.allclose(frames[3].mean((0, 1)), [200, 0, 0], atol=2)


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_video_cut_short_is_kept_so_far_with_both_numbers(tmp_path, suffix):
    path = footage.write_video(tmp_path / f"v{suffix}")
    if suffix == ".mp4":
        footage.index_first(path)
    extracted, frames = run(footage.cut(path, 0.75), fps=25)
    assert extracted.frames_promised == 60
    assert 5 < extracted.frames_read < 55
    assert extracted.is_short
    assert footage.numbers(frames) == list(range(extracted.num_frames))


@pytest.mark.parametrize(("promised", "short", "long"), [(500, True, False), (10, False, True)])
def test_a_lying_header_is_seen_and_all_frames_read(tmp_path, promised, short, long):
    path = footage.set_avi_length(footage.write_video(tmp_path / "v.avi"), promised)
    extracted, frames = run(path, fps=25)
    assert footage.numbers(frames) == list(range(60))
    assert extracted.frames_promised == promised
    assert (extracted.is_short, extracted.is_long) == (short, long)


@pytest.mark.parametrize("fps", [0.0, -1.0, math.nan, math.inf, 0.05, 90_000.0])
def test_absurd_rates_are_no_rates(fps):
    assert not is_rate(fps)


def test_an_absurd_rate_in_the_header_needs_source_fps(tmp_path):
    path = footage.set_avi_rate(footage.write_video(tmp_path / "v.avi"), 90_000, 1)
    with pytest.raises(UnreadableVideo, match="90000.*--source-fps"):
        run(path)
    (tmp_path / "frames of v.avi").rmdir()
    extracted, frames = run(path, fps=5, source_fps=25)
    assert footage.numbers(frames) == list(range(0, 60, 5))
    assert (extracted.native_fps, extracted.native_fps_told) == (25, False)


@pytest.mark.parametrize("content", [b"", b"no video, but text\n" * 100])
def test_what_is_no_video_cannot_be_opened(tmp_path, content):
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableVideo, match="cannot|can be opened|file is empty"):
        run(path)


def test_a_video_without_its_index_cannot_be_opened(tmp_path):
    with pytest.raises(UnreadableVideo, match="can be opened"):
        run(footage.cut(footage.write_video(tmp_path / "v.mp4")))


def test_frames_of_different_sizes_name_the_file_and_the_sizes(tmp_path):
    folder = footage.write_images(tmp_path / "v", [(32, 32), (32, 32), (40, 30)])
    with pytest.raises(UnreadableVideo, match="frame_2.png is 40x30, the first one 32x32"):
        run(folder)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_image_cut_short_is_named(tmp_path, suffix):
    folder = footage.write_images(tmp_path / "v", [(64, 64)] * 3, suffix)
    footage.cut(folder / f"frame_1{suffix}", 0.6)
    with pytest.raises(UnreadableVideo, match=f"frame_1{suffix}"):
        run(folder)


@pytest.mark.skipif(not REALDATA.is_dir(), reason="no real videos beside the checkout")
def test_real_videos(tmp_path):
    (tmp_path / "clip.mp4").symlink_to(REALDATA / "cholec80_video01" / "clips" / "video01_000.mp4")
    extracted, frames = run(tmp_path / "clip.mp4", fps=5)
    assert (len(frames), extracted.frames_read, extracted.native_fps) == (25, 125, 25)
    assert frames[0].shape == (256, 256, 3)
    (tmp_path / "bunny.mp4").symlink_to(REALDATA / "bigbuckbunny.mp4")
    extracted, frames = run(tmp_path / "bunny.mp4", fps=1)
    assert (len(frames), extracted.frames_read) == (6, 132)
    assert frames[0].shape == (256, 455, 3)
    with av.open(str(REALDATA / "bigbuckbunny.mp4")) as video:
        picture = next(itertools.islice(video.decode(video=0), 50, None))
    small = cv2.resize(picture.to_ndarray(format="rgb24"), (455, 256))
    assert np.abs(small.astype(int) - frames[2]).mean() < 5
