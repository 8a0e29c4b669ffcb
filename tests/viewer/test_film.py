"""The film strip keeps even distances and stays small, however long the video is."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from surgvista_jax.data.storage.open import FrameFolder
from surgvista_jax.viewer.film import Reel, film_of, film_of_file
from tests.support import footage
from tests.support import marked_videos as marked
from tests.support.marked_videos import Pictures


def test_a_reel_of_any_length_is_even_and_within_its_bounds():
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for seconds in (3, 100, 1234):
        reel = Reel(most_frames=50, most_bytes=40 * 2000)
        for second in range(seconds):
            reel.add(second, noise)
        film = reel.film()
        assert film is not None and film.seconds[0] == 0
        assert len(film.images) <= 50 and sum(map(len, film.images)) <= 80000
        assert seconds < 50 or len(film.images) >= 12
        assert np.ptp(np.diff(film.seconds)) == 0 and seconds - film.seconds[-1] <= reel.every


def test_frames_are_made_small_and_keep_their_shape():
    reel = Reel()
    reel.add(0, np.zeros((1080, 1920, 3), np.uint8))
    film = reel.film()
    assert film is not None
    image = cv2.imdecode(np.frombuffer(film.images[0], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None and image.shape == (162, 288, 3)


def test_unreadable_frames_are_left_out(tmp_path):
    footage.write_images(tmp_path, [(64, 48)] * 6, ".jpg", "{:06d}")
    (tmp_path / "000002.jpg").write_bytes(b"broken")
    film = film_of(FrameFolder(tmp_path, 6), np.arange(8), 1.0)
    assert film is not None and film.seconds == (0, 1, 3, 4, 5)
    assert film_of(FrameFolder(tmp_path / "nowhere", 6), np.arange(6), 1.0) is None


def test_a_film_of_a_file_is_of_its_key_frames(tmp_path):
    path = footage.write_video(tmp_path / "case.mp4", 100)
    film = film_of_file(path, 4.0)
    assert film is not None and film.seconds[0] == 0
    for second, image in zip(film.seconds, film.images, strict=True):
        shown = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
        assert footage.numbers([shown]) == [round(25 * second)]
    assert film_of_file(tmp_path / "moved.mp4", 4.0) is None
    assert film_of_file(footage.write_video(tmp_path / "a.avi", 30), 1.0) is not None


def seen(path, seconds=3.0):
    """The frames of a file's film, [H, W, 3], and their times."""
    film = film_of_file(path, seconds)
    assert film is not None
    images = [cv2.imdecode(np.frombuffer(i, np.uint8), cv2.IMREAD_COLOR) for i in film.images]
    return images, film.seconds


def test_a_film_is_upright(tmp_path):
    path = marked.write(tmp_path / "a.mp4", Pictures(key_every=25))
    for turn in (90, 180):
        images, _ = seen(marked.rotate(path, turn))
        assert images[0].shape == ((96, 64, 3) if turn == 90 else (64, 96, 3))
        upright = [np.rot90(image, turn // 90) for image in images]
        assert [marked.number(image) for image in upright] == [0, 25, 50]


def test_a_film_has_no_combs_and_square_pixels(tmp_path):
    pictures = Pictures("mpeg2video", fields="top", key_every=25, pixel_aspect=Fraction(32, 27))
    images, seconds = seen(marked.write(tmp_path / "a.mkv", pictures))
    assert [marked.number(image) for image in images] == [round(25 * s) for s in seconds]
    assert images[0].shape == (64, 114, 3)
    assert not any(map(marked.is_combed, images))


def test_times_of_a_film_are_those_of_extracted_frames(tmp_path):
    late = Pictures(start=Fraction(2), key_every=25)
    sound = Fraction(0), Fraction(5)
    images, seconds = seen(marked.write(tmp_path / "a.mp4", late, sound=sound), 5)
    assert seconds == (2, 3, 4) and [marked.number(image) for image in images] == [0, 25, 50]


@pytest.mark.parametrize("suffix", [".ts", ".m2ts", ".mpg", ".mkv", ".avi"])
def test_a_film_begins_with_the_first_picture_in_any_container(tmp_path, suffix):
    """As recorders write them: in MPEG streams a seek to the first key frame leads to the next."""
    codec = "mpeg2video" if suffix == ".mpg" else "mpeg4"
    path = marked.write(tmp_path / f"a{suffix}", Pictures(codec, key_every=25))
    images, seconds = seen(path)
    assert seconds[0] < 0.05 and marked.number(images[0]) == 0


def test_a_film_goes_on_behind_damage(tmp_path):
    path = marked.write(tmp_path / "a.mp4", Pictures(count=250, key_every=25))
    _, seconds = seen(marked.damage(path, 0.4, 0.6), 10)
    assert seconds[0] == 0 and seconds[-1] == 9 and len(seconds) >= 6
