"""What are the operations of RandAugment by definition?  Written plainly, with Pillow."""

import math

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

GREY = (128, 128, 128)
INTERPOLATION = Image.Resampling.BICUBIC


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    """Shows at (x, y) what was at (a x + b y + c, d x + e y + f)."""
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=INTERPOLATION, fillcolor=GREY
    )


DEFINITIONS = {
    "auto_contrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
    "invert": ImageOps.invert,
    "rotate": lambda image, angle: image.rotate(angle, resample=INTERPOLATION, fillcolor=GREY),
    "posterize": ImageOps.posterize,
    "solarize": ImageOps.solarize,
    "solarize_add": lambda image, addend: image.point(
        [min(255, i + addend) if i < 128 else i for i in range(256)] * 3
    ),
    "color": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "sharpness": lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
    "shear_x": lambda image, slope: _affine(image, (1, slope, 0, 0, 1, 0)),
    "shear_y": lambda image, slope: _affine(image, (1, 0, 0, slope, 1, 0)),
    "translate_x": lambda image, share: _affine(image, (1, 0, share * image.width, 0, 1, 0)),
    "translate_y": lambda image, share: _affine(image, (1, 0, 0, 0, 1, share * image.height)),
}


def defined(name: str, frames: np.ndarray, argument: float | int | None) -> np.ndarray:
    """[T, H, W, 3] after one operation, frame by frame, as Pillow does it."""
    arguments = () if argument is None else (argument,)
    return np.stack(
        [np.asarray(DEFINITIONS[name](Image.fromarray(frame), *arguments)) for frame in frames]
    )


def shown_from(name: str, argument: float, height: int, width: int) -> np.ndarray:
    """[H, W, 2]: from which (x, y), in pixels from the corner, each pixel's middle comes."""
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    if name == "rotate":
        angle = math.radians(argument)
        x, y = x - width / 2, y - height / 2
        x, y = (
            math.cos(angle) * x - math.sin(angle) * y + width / 2,
            math.sin(angle) * x + math.cos(angle) * y + height / 2,
        )
    elif name in ("shear_x", "translate_x"):
        x = x + argument * (y if name == "shear_x" else width)
    else:
        y = y + argument * (x if name == "shear_y" else height)
    return np.stack([x, y], -1)
