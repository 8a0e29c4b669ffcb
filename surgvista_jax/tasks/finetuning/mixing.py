"""Whole batches on the devices: normalisation, erasing, mixup, cutmix, targets.

Pure functions of arrays and a key, for use inside jit. They stand outside `data`, whose workers
never import JAX, and outside `models`, because nothing here belongs to a model. RandAugment, crop
and flip come before, on the host: they need whole frames, of any size, and tables of their values.
What is here is a few operations a pixel, which a device fuses into one pass.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from surgvista_jax.checks import check
from surgvista_jax.models.patches import normalise

# Of the erased box: share of the picture's area, and height / width.
ERASED_AREA = (0.02, 1 / 3)
ERASED_ASPECT = (0.3, 1 / 0.3)
# Boxes drawn for each clip, of which the first that fits is taken. One in 200 does not fit, so
# that eight never fail in practice; if they do, nothing is erased.
_BOX_DRAWS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class MixConfig:
    """What finetuning does to a batch after normalisation; 0 turns each of them off.

    Attributes:
        erase: probability of replacing a box of a clip by noise.
        mixup: alpha of the Beta(alpha, alpha) from which mixup draws the share of a clip.
        cutmix: the same for cutmix's share of the area.
        switch: probability of cutmix instead of mixup, where both are on.
        smoothing: the part of the target that is spread evenly over all classes.
    """

    erase: float = 0.25
    mixup: float = 0.8
    cutmix: float = 1.0
    switch: float = 0.5
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        check(self, "from 0 to 1", lambda share: 0 <= share <= 1, "erase", "switch", "smoothing")
        check(self, "0 or more", lambda value: value >= 0, "mixup", "cutmix")


def augment_batch(
    key: jax.Array,
    video: jax.Array,
    label: jax.Array,
    config: MixConfig,
    *,
    num_classes: int,
    dtype: jnp.dtype,
) -> tuple[jax.Array, jax.Array]:
    """Returns what a training step sees of a batch: normalised, erased, smoothed and mixed.

    Args:
        video: uint8 [B, T, H, W, 3].
        label: int32 [B], or float32 [B, C] for several classes a clip, which are not smoothed.

    Returns:
        video: [B, T, H, W, 3] in `dtype`.
        target: float32 [B, C].
    """
    erase_key, mix_key = jax.random.split(key)
    pixels = normalise(video, dtype)
    if config.erase:
        pixels = erase(erase_key, pixels, config.erase)
    if label.ndim == 1:
        target = smooth_targets(label, num_classes, config.smoothing)
    else:
        target = label.astype(jnp.float32)
    if config.mixup or config.cutmix:
        pixels, target = mix(mix_key, pixels, target, config)
    return pixels, target


def smooth_targets(label: jax.Array, num_classes: int, smoothing: float) -> jax.Array:
    """int [B] -> float32 [B, C]: 1 - smoothing for the class and smoothing / C for every class."""
    one_hot = jax.nn.one_hot(label, num_classes, dtype=jnp.float32)
    return one_hot * (1 - smoothing) + smoothing / num_classes


def erase(key: jax.Array, video: jax.Array, probability: float) -> jax.Array:
    """Replaces a box by standard normal noise, with `probability` a clip, in normalised pixels.

    The box is the same in all frames of a clip, the noise another for every pixel and frame.
    Source: Zhong et al., "Random Erasing Data Augmentation" (2020), with its bounds.
    """
    b, _, h, w, _ = video.shape
    chance_key, box_key, noise_key = jax.random.split(key, 3)
    boxes = draw_erased_boxes(box_key, b, h, w)
    chosen = jax.random.uniform(chance_key, (b,)) < probability
    inside = _inside(boxes, h, w) & chosen[:, None, None]  # [B, H, W]
    # Drawn in bfloat16 it would have 128 values, and a mean of -0.01.
    noise = jax.random.normal(noise_key, video.shape, jnp.float32).astype(video.dtype)
    return jnp.where(inside[:, None, :, :, None], noise, video)


def draw_erased_boxes(key: jax.Array, count: int, height: int, width: int) -> jax.Array:
    """Draws boxes of a uniform area and a log-uniform height / width that fit, anywhere.

    Returns:
        int32 [B, 4]: top, left, height, width.
    """
    keys = jax.random.split(key, 3)
    draws = (count, _BOX_DRAWS)
    low, high = (math.log(bound) for bound in ERASED_ASPECT)
    area = jax.random.uniform(keys[0], draws, minval=ERASED_AREA[0], maxval=ERASED_AREA[1]) * float(
        height * width
    )
    aspect = jnp.exp(jax.random.uniform(keys[1], draws, minval=low, maxval=high))
    sides = jnp.stack([jnp.sqrt(area * aspect), jnp.sqrt(area / aspect)], -1)
    sides = jnp.round(sides).astype(jnp.int32)  # [B, draws, 2]
    picture = jnp.array([height, width], jnp.int32)
    fits = (sides < picture[None, None]).all(-1)
    first = jnp.argmax(fits, axis=1)[:, None, None]
    size = jnp.take_along_axis(sides, first, axis=1)[:, 0]  # [B, 2]
    size = jnp.where(fits.any(axis=1)[:, None], size, 0)
    room = (picture[None] - size + 1).astype(jnp.float32)
    corner = jnp.floor(jax.random.uniform(keys[2], (count, 2)) * room).astype(jnp.int32)
    return jnp.concatenate([corner, size], axis=1)


def mix(
    key: jax.Array, video: jax.Array, target: jax.Array, config: MixConfig
) -> tuple[jax.Array, jax.Array]:
    """Mixes each clip with another one of the batch, and its target with the other's.

    One share, and one choice between mixup and cutmix, is drawn for the batch. The other clip is
    the neighbour: 0 and 1, 2 and 3, ... Batches are shuffled, so that any pairing is as good, and
    neighbours lie on the same device: nothing is sent between devices.

    Sources: Zhang et al., "mixup" (2018); Yun et al., "CutMix" (2019), whose share is corrected to
    the area of the box after it was cut off at the picture's edge.

    Args:
        video: [B, T, H, W, 3], normalised; B even.
        target: float32 [B, C].
    """
    b, _, h, w, _ = video.shape
    if b % 2:
        raise ValueError(f"clips are mixed in pairs: a batch of {b} cannot be")
    switch_key, mixup_key, cutmix_key, box_key = jax.random.split(key, 4)
    share, kept = jnp.float32(1), jnp.ones((h, w), jnp.float32)
    if config.mixup:
        share = jax.random.beta(mixup_key, config.mixup, config.mixup)
        kept = jnp.full((h, w), share)
    if config.cutmix:
        box = draw_cut_box(box_key, jax.random.beta(cutmix_key, config.cutmix, config.cutmix), h, w)
        outside = 1 - _inside(box[None], h, w)[0].astype(jnp.float32)
        cut = jax.random.uniform(switch_key) < (config.switch if config.mixup else 1.0)
        share = jnp.where(cut, outside.mean(), share)
        kept = jnp.where(cut, outside, kept)
    weight = kept[None, None, :, :, None]
    mixed = weight * video.astype(jnp.float32) + (1 - weight) * _neighbour(video)
    return mixed.astype(video.dtype), share * target + (1 - share) * _neighbour(target)


def draw_cut_box(key: jax.Array, share: jax.Array, height: int, width: int) -> jax.Array:
    """Draws the box that cutmix fills from the other clip: 1 - `share` of the area, cut off.

    Its centre lies anywhere in the picture, so that a part of it may lie outside.

    Returns:
        int32 [4]: top, left, height, width of what lies inside.
    """
    picture = jnp.array([height, width], jnp.int32)
    half = (jnp.sqrt(1 - share) * picture).astype(jnp.int32) // 2
    centre = jnp.floor(jax.random.uniform(key, (2,)) * picture).astype(jnp.int32)
    start = jnp.maximum(centre - half, 0)
    return jnp.concatenate([start, jnp.minimum(centre + half, picture) - start])


def _inside(boxes: jax.Array, height: int, width: int) -> jax.Array:
    """int [B, 4] (top, left, height, width) -> bool [B, H, W], true in the box."""
    top, left, tall, wide = boxes[:, :, None].transpose(1, 0, 2)  # each [B, 1]
    rows, columns = jnp.arange(height)[None], jnp.arange(width)[None]
    in_rows = (rows >= top) & (rows < top + tall)
    in_columns = (columns >= left) & (columns < left + wide)
    return in_rows[:, :, None] & in_columns[:, None, :]


def _neighbour(array: jax.Array) -> jax.Array:
    """[B, ...] with rows 0 and 1 exchanged, 2 and 3, ..."""
    return array.reshape(-1, 2, *array.shape[1:])[:, ::-1].reshape(array.shape)
