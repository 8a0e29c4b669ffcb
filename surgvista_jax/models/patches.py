"""Tubelets: how a video is cut into them and rebuilt, and what a pixel's value means."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Array = TypeVar("Array", jax.Array, np.ndarray)

# Mean and deviation of ImageNet's pixels in [0, 1], which normalise student's and teacher's input.
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)
# With which targets are scaled that are not normalised patch by patch: of pixels in [0, 1].
PLAIN_MEAN, PLAIN_DEVIATION = 0.5, 0.25


def token_grid(
    num_frames: int, height: int, width: int, tubelet: int, patch: int
) -> tuple[int, int, int]:
    """Tokens along (t, h, w). Raises ValueError where the video does not divide into tubelets."""
    if num_frames % tubelet or height % patch or width % patch:
        raise ValueError(
            f"{num_frames}x{height}x{width} video does not divide into {tubelet}x{patch}x{patch}"
        )
    return num_frames // tubelet, height // patch, width // patch


def patchify(video: Array, tubelet: int, patch: int) -> Array:
    """Cuts a video into tubelets: [B, T, H, W, 3] -> [B, N, P].

    Tokens in (t, h, w) order; a token's P = tubelet * patch * patch * 3 values in (frame, row,
    column, channel) order.
    """
    b, frames, height, width, c = video.shape
    t, h, w = token_grid(frames, height, width, tubelet, patch)
    x = video.reshape(b, t, tubelet, h, patch, w, patch, c)
    x = x.transpose(0, 1, 3, 5, 2, 4, 6, 7)
    return x.reshape(b, t * h * w, tubelet * patch * patch * c)


def unpatchify(patches: Array, grid: tuple[int, int, int], tubelet: int, patch: int) -> Array:
    """The inverse of `patchify`: [B, N, P] -> [B, T, H, W, 3]."""
    b = patches.shape[0]
    t, h, w = grid
    x = patches.reshape(b, t, h, w, tubelet, patch, patch, 3)
    x = x.transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return x.reshape(b, t * tubelet, h * patch, w * patch, 3)


def gather_tokens(tokens: jax.Array, ids: jax.Array) -> jax.Array:
    """Picks tokens by id for each of K masks: [B, N, X], [B, K, I] -> [B*K, I, X]."""
    b, k, i = ids.shape
    picked = jnp.take_along_axis(tokens, ids.reshape(b, k * i, 1), axis=1)
    return picked.reshape(b * k, i, tokens.shape[-1])


def gather_of_clips(tokens: jax.Array, ids: jax.Array, grid: tuple[int, int, int]) -> jax.Array:
    """Picks tokens of the clips that slide over each stretch, by their ids in the clip.

    Args:
        tokens: [B, (t + S - 1) * h * w, X], of stretches of S clips, each beginning a slice of time
            after the one before it; of single clips [B, N, X].
        ids: [B, S*K, I], for each of S clips under K masks.
        grid: tokens of a clip along (t, h, w).

    Returns:
        [B*S*K, I, X].
    """
    t, h, w = grid
    clips = tokens.shape[1] // (h * w) - t + 1
    if clips > 1:
        first = h * w * np.arange(clips, dtype=np.int32).repeat(ids.shape[1] // clips)
        ids = ids + first[None, :, None]
    return gather_tokens(tokens, ids)


def normalise(pixels: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """uint8 [..., 3n], channels innermost -> (pixels / 255 - mean) / std of the same shape.

    Computed in float32 and rounded once, at the end, to `dtype`.
    """
    repeats = pixels.shape[-1] // 3
    mean = np.tile(IMAGENET_MEAN, repeats)
    std = np.tile(IMAGENET_STD, repeats)
    ones = (1,) * (pixels.ndim - 1)
    scaled = pixels.astype(jnp.float32) / 255.0
    return ((scaled - mean.reshape(*ones, -1)) / std.reshape(*ones, -1)).astype(dtype)
