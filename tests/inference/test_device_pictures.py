"""What an accelerator makes of a frame is what OpenCV makes of it, but for last digits."""

import functools

import cv2
import jax
import numpy as np
import pytest

from surgvista_jax.data.conversion.extract import reduced
from surgvista_jax.inference.clip_batches import resize_frame
from surgvista_jax.inference.device_pictures import fitted


@pytest.mark.parametrize(
    "width, height", [(854, 480), (480, 854), (1920, 1080), (1024, 512), (768, 768), (300, 200)]
)
def test_pictures_are_those_of_the_host(width, height):
    """Noise is the worst case; soft pictures have other roundings."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    program = jax.jit(functools.partial(fitted, short_side=256, size=224))
    for frame in (noise, cv2.blur(noise, (9, 9)), np.full_like(noise, 255)):
        expected = resize_frame(224, np.ascontiguousarray(reduced(frame, 256))).astype(int)
        difference = np.abs(np.asarray(program(frame)) - expected)
        assert difference.max() <= 1
        assert np.count_nonzero(difference) < 2e-3 * difference.size
