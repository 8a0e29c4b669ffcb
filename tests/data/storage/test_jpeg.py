"""A JPEG whose data ends early is found though its end marker is there, and no other is blamed."""

import cv2
import numpy as np
import pytest

from surgvista_jax.data.storage.decode import decode_image
from surgvista_jax.data.storage.jpeg import MOST_PIXELS, is_cut_short, jpeg_pixels

FORMS = {
    "baseline": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
    "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    "best": [cv2.IMWRITE_JPEG_QUALITY, 100],
    "4:4:4": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(64, 72, 3), (17, 33, 3), (64, 72)])
def test_a_jpeg_without_its_last_data_is_cut_short(form, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    whole = cv2.imencode(".jpg", image, FORMS[form])[1].tobytes()
    assert jpeg_pixels(whole) == shape[0] * shape[1]
    assert not is_cut_short(whole) and not is_cut_short(whole + bytes(40))
    start = whole.rfind(b"\xff\xda") + 14
    for share in (0.05, 0.5, 0.9):
        cut = whole[: start + int(share * (len(whole) - start))] + b"\xff\xd9"
        assert is_cut_short(cut) and decode_image(cut) is not None


def test_what_is_no_jpeg_is_not_judged():
    png = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    for data in (b"", png, png[:40], b"\xff\xd8\xff\xd9", b"\xff\xd8nonsense\xff\xd9"):
        assert not is_cut_short(data) and not jpeg_pixels(data)


def test_a_picture_of_billions_of_pixels_is_refused_by_its_header():
    """Without memory for it: the file has a hundred bytes."""
    whole = bytearray(cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes())
    place = whole.find(b"\xff\xc0") + 5
    whole[place : place + 4] = (65_500).to_bytes(2, "big") * 2
    assert decode_image(bytes(whole)) is None
    assert jpeg_pixels(bytes(whole)) == 65_500**2 > MOST_PIXELS
