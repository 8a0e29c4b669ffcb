"""Targets and losses of pretraining: of hidden pixels, and of the features of a teacher."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from surgvista_jax.checks import check, check_one_of
from surgvista_jax.models.patches import PLAIN_DEVIATION, PLAIN_MEAN

FEATURE_LOSSES = {
    "l1": lambda error: jnp.abs(error),
    "l2": lambda error: error**2,
    # Quadratic below 1, linear above (beta = 1).
    "smooth_l1": lambda error: jnp.where(jnp.abs(error) < 1, 0.5 * error**2, jnp.abs(error) - 0.5),
}


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
    """The pretraining loss: pixel_weight * MSE + feature_weight * feature loss.

    Attributes:
        pixel_weight: weight of the mean squared error of normalised pixels.
        feature_weight: weight of the feature loss; without a teacher there is none.
        feature_loss: "smooth_l1", "l1" or "l2".
        pixels: "normalised" patch by patch, as published; or "plain": their brightness and contrast
            are learnt as well, which makes better pictures and worse features.
        normalise_features: layer-normalises the teacher's features, without scale and bias, first.
    """

    pixel_weight: float = 1.0
    feature_weight: float = 0.05
    feature_loss: str = "smooth_l1"
    normalise_features: bool = False
    pixels: str = "normalised"

    def __post_init__(self) -> None:
        check_one_of(self, ("normalised", "plain"), "pixels")
        check(self, "0 or more", lambda weight: weight >= 0, "pixel_weight", "feature_weight")
        check_one_of(self, FEATURE_LOSSES, "feature_loss")


def pixel_targets(patches: jax.Array, kind: str = "normalised") -> jax.Array:
    """Each tubelet's pixels in [0, 1], normalised channel by channel.

    Args:
        patches: uint8 [..., P], channels innermost.
        kind: "normalised", or "plain": with the same mean and deviation everywhere.

    Returns:
        float32 [..., P]: (x - mean) / (deviation + 1e-6), both over the tubelet's P / 3 pixels of
        one channel, with the unbiased deviation (N - 1).
    """
    if kind == "plain":
        return (patches.astype(jnp.float32) / 255.0 - PLAIN_MEAN) / PLAIN_DEVIATION
    pixels, mean, deviation = pixel_statistics(patches)
    return ((pixels - mean) / deviation).reshape(patches.shape)


def pixel_statistics(patches: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What `pixel_targets` normalises with.

    Args:
        patches: uint8 [..., P].

    Returns:
        pixels float32 [..., P/3, 3] in [0, 1], their mean and their deviation + 1e-6 [..., 1, 3].
    """
    pixels = patches.reshape(*patches.shape[:-1], -1, 3).astype(jnp.float32) / 255.0
    count = pixels.shape[-2]
    mean = _sum_of_pixels(pixels) / count
    deviation = jnp.sqrt(_sum_of_pixels((pixels - mean) ** 2) / (count - 1)) + 1e-6
    return pixels, mean, deviation


def _sum_of_pixels(x: jax.Array) -> jax.Array:
    """[..., P/3, 3] -> [..., 1, 3], in two steps: a GPU sums slowly along columns of three."""
    parts = math.gcd(x.shape[-2], 16)
    partial = x.reshape(*x.shape[:-2], parts, -1).sum(-2)
    return partial.reshape(*x.shape[:-2], -1, 3).sum(-2, keepdims=True)


def normalise_features(features: jax.Array) -> jax.Array:
    """Layer norm without scale and bias over the last axis, epsilon 1e-5."""
    mean = features.mean(-1, keepdims=True)
    variance = features.var(-1, keepdims=True)
    return (features - mean) * jax.lax.rsqrt(variance + 1e-5)


def pixel_loss(
    predicted: jax.Array, target: jax.Array, weight: jax.Array | None = None
) -> jax.Array:
    """Mean squared error over all values of all hidden tokens: [B, M, P] twice -> [].

    weight: float32 [B], by which the error of each clip counts; None: all alike.
    """
    return _mean((predicted - target) ** 2, weight)


def feature_loss(
    predicted: jax.Array,
    target: jax.Array,
    config: ObjectiveConfig,
    weight: jax.Array | None = None,
) -> jax.Array:
    """Mean over all values of all hidden tokens: float32 [B, M, F] twice -> [].

    weight: as of `pixel_loss`.
    """
    if config.normalise_features:
        target = normalise_features(target)
    return _mean(FEATURE_LOSSES[config.feature_loss](predicted - target), weight)


def _mean(error: jax.Array, weight: jax.Array | None) -> jax.Array:
    return jnp.mean(error if weight is None else weight[:, None, None] * error)
