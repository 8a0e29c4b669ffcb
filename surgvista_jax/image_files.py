"""A picture as the bytes of a JPEG or PNG file."""

import cv2
import numpy as np

BEST = 95  # quality of a JPEG that is to be looked at closely, or trained on


def jpeg(image: np.ndarray, quality: int = BEST) -> bytes:
    """A JPEG of [H, W, 3] uint8 RGB.

    Raises:
        ValueError: it is too large for one.
    """
    return jpeg_of_bgr(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)


def jpeg_of_bgr(image: np.ndarray, quality: int = BEST) -> bytes:
    """As `jpeg`, of [H, W, 3] uint8 in the order that decoders of OpenCV give."""
    return _encoded(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])


def png(image: np.ndarray) -> bytes:
    """A PNG of [H, W, 3] uint8 RGB. Raises ValueError where it is too large for one."""
    return _encoded(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [])


def _encoded(suffix: str, bgr: np.ndarray, options: list[int]) -> bytes:
    written, data = cv2.imencode(suffix, bgr, options)
    if not written:
        height, width = bgr.shape[:2]
        raise ValueError(f"frames of {width}x{height} do not fit a {suffix} file")
    return data.tobytes()
