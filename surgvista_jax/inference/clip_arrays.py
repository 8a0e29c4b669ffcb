"""Clips as users hold them -> the uint8 clips that a model takes, or words that say what is wrong.

Converted are, as stated in `as_clips`: floats, greyscale, channels first, other sizes. Nothing is
guessed: what could mean two things is refused, and a clip of another length always is, because
which of its frames a model should see depends on their rate.
"""

import os
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError

_ORDER = "[frames, height, width, 3]"
_ROUNDING = 1e-3  # by which floats may leave 0..1


def as_clips(given: Any, clip: ClipConfig) -> tuple[Iterable[np.ndarray], bool]:
    """The clips that a user means, each made when it is asked for.

    Args:
        given: one clip [T, H, W, 3], or several [B, T, H, W, 3]: RGB, uint8, or floats from 0 to 1.
            Channels may come before height and width, or before the frames as well, and may be one
            (grey); one grey clip may be [T, H, W]. A list of frames [H, W, 3] is a clip, whatever
            their sizes; a list, or any other iterable, of clips is several. For a model of single
            frames [H, W, 3] or [H, W] is an image and [B, H, W, 3], or a list of images, several.
            Arrays are anything that `numpy.asarray` takes.
        clip: what the model sees.

    Returns:
        uint8 [T, size, size, 3] each, resized as whole frames, bilinearly; and whether it was a
        single one, given without an axis for several.

    Raises:
        UserError: it is none of these; of an iterable, when that clip is asked for.
    """
    if isinstance(given, str | bytes | os.PathLike):
        raise UserError(f"{given!r:.100}: is no clip; of a video file take model.clips(FILE)")
    of_images = clip.num_frames == 1
    if isinstance(given, list | tuple) and given and _ndim(given[0]) <= 3 and not of_images:
        return [_of_frames(given, clip)], True
    if not hasattr(given, "__array__") and isinstance(given, Iterable):
        return (_of_one(one, clip) for one in given), False
    array = _array(given)
    if array.ndim == (4 if of_images else 5):
        return (_of_one(one, clip) for one in array), False
    if of_images and array.ndim == 5:
        return (_of_array(one, clip) for one in array), False
    return [_of_one(array, clip)], True


def _of_one(one: Any, clip: ClipConfig) -> np.ndarray:
    if clip.num_frames == 1 and _ndim(one) <= 3:
        return _of_frames([one], clip)
    return _of_frames(one, clip) if isinstance(one, list | tuple) else _of_array(one, clip)


def _ndim(given: Any) -> int:
    """Axes of an array, or of lists, whose parts may be of several sizes: by their first ones."""
    if isinstance(given, list | tuple):
        return 1 + (_ndim(given[0]) if given else 0)
    return _array(given).ndim


def _array(given: Any) -> np.ndarray:
    try:
        return np.asarray(given)
    except ValueError:  # numbers in rows of several lengths
        raise UserError(
            "a list of unequal lists: is no array; a clip is one array, or a list of arrays, its"
            " frames [height, width, 3]"
        ) from None


def _of_array(one: Any, clip: ClipConfig) -> np.ndarray:
    """One clip, its frames in one array."""
    array = _array(one)
    if array.ndim == 3 and array.shape[2] not in (1, 3):  # grey
        array = array[..., None]
    axis = _channels(array.shape, clip) if array.ndim == 4 else None
    if axis is None:
        wanted = [clip.num_frames, clip.size, clip.size, 3]
        alpha = "; leave the alpha channel out" if array.shape[-1:] == (4,) else ""
        raise UserError(
            f"an array of shape {list(array.shape)}: is no clip; one of this model is {_ORDER},"
            f" here {wanted}, or several of them{alpha}"
        )
    return _of_frames(np.moveaxis(array, axis, -1), clip)


def _channels(shape: tuple[int, ...], clip: ClipConfig) -> int | None:
    """The axis of the channels of a clip of four axes; None where there is none.

    Raises:
        UserError: it could be two of them.
    """
    if shape[3] in (1, 3):
        return 3
    found = [axis for axis in (0, 1) if shape[axis] in (1, 3)]
    fitting = [axis for axis in found if shape[1 - axis] == clip.num_frames] or found
    if len(fitting) > 1:
        raise UserError(
            f"a clip of shape {list(shape)}: the first two axes could both be the channels; put"
            f" them last: {_ORDER}"
        )
    return fitting[0] if fitting else None


def _of_frames(frames: Any, clip: ClipConfig) -> np.ndarray:
    """One clip, its frames one by one, which may be of several sizes."""
    if len(frames) != clip.num_frames:
        what = "an image" if clip.num_frames == 1 else f"{clip.num_frames} frames"
        apart = f", {clip.stride} apart" if clip.num_frames > 1 else ""
        raise UserError(f"a clip of {len(frames)} frames: the model sees {what}{apart}")
    out = np.empty((clip.num_frames, clip.size, clip.size, 3), np.uint8)
    for number, frame in enumerate(frames):
        image = _as_rgb(_array(frame))
        if image.shape == out.shape[1:]:
            out[number] = image
        else:
            cv2.resize(image, (clip.size,) * 2, dst=out[number], interpolation=cv2.INTER_LINEAR)
    return out


def _as_rgb(image: np.ndarray) -> np.ndarray:
    """One frame [H, W], [H, W, 1 or 3] or [1 or 3, H, W] -> contiguous uint8 [H, W, 3]."""
    if image.ndim == 3 and image.shape[-1] not in (1, 3) and image.shape[0] in (1, 3):
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in (1, 3) or 0 in image.shape:
        more = "; leave the alpha channel out" if image.shape[-1:] == (4,) else ""
        raise UserError(
            f"a frame of shape {list(image.shape)}: should be [height, width, 3], RGB{more}"
        )
    image = _as_bytes(image)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def _as_bytes(image: np.ndarray) -> np.ndarray:
    """Values as uint8: floats from 0 to 1 are multiplied by 255 and rounded."""
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind not in "iuf":
        raise UserError(f"pixels of type {image.dtype}: should be uint8, or floats from 0 to 1")
    low, high = image.min(), image.max()
    if image.dtype.kind in "iu":
        if low < 0 or high > 255:
            raise UserError(f"pixels from {low} to {high}: should be from 0 to 255, as uint8")
        return image.astype(np.uint8)
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # NaN too
        hint = ""
        if not np.isfinite(high - low):
            hint = "; some are not finite"
        elif low < 0:
            hint = "; if they are normalised, give them as they were before"
        raise UserError(
            f"float pixels from {low:g} to {high:g}: should be from 0 to 1, or uint8 from 0 to"
            f" 255{hint}"
        )
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
