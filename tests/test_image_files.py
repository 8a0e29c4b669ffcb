"""A picture comes back from its file; what fits no file is refused."""

import cv2
import numpy as np
import pytest

from surgvista_jax.image_files import jpeg, jpeg_of_bgr, png


def decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return image


def test_a_picture_comes_back():
    image = np.zeros((16, 24, 3), np.uint8)
    image[:8], image[8:] = (250, 120, 20), (10, 60, 200)
    assert png(image).startswith(b"\x89PNG") and jpeg(image).startswith(b"\xff\xd8\xff")
    np.testing.assert_array_equal(decoded(png(image)), image)
    inside = np.s_[[3, 12]]  # away from the border, where colours blend
    np.testing.assert_allclose(decoded(jpeg(image))[inside], image[inside], atol=8)
    assert jpeg_of_bgr(image[..., ::-1]) == jpeg(image)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert len(jpeg(noise, 20)) < len(jpeg(noise)) / 2


def test_what_fits_no_jpeg_is_refused():
    with pytest.raises(ValueError, match=r"frames of 65501x1 do not fit a \.jpg file"):
        jpeg(np.zeros((1, 65501, 3), np.uint8))
