"""The film strip keeps even distances and stays small, however long the video is."""

import cv2
import numpy as np

from surgvista_jax.data.storage.open import FrameFolder
from surgvista_jax.viewer.film import Reel, film_of, film_of_file
from tests.support import footage


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
