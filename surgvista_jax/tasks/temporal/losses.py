"""Losses of wrong and of restless phase predictions over a whole video."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

UNLABELLED = -1
# Differences of log probabilities count up to 4, squared.
_LARGEST_DIFFERENCE = 4.0


def median_frequency_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights by which rare classes count more: median of the classes' frame counts / own count.

    The median is over the classes that occur; one that does not gets 0.

    Args:
        labels: int [N] class ids, -1 where there is none.
        num_classes: C.

    Returns:
        float32 [C].
    """
    counts = np.bincount(labels[labels != UNLABELLED], minlength=num_classes)
    occurs = counts > 0
    weights = np.zeros(num_classes)
    weights[occurs] = np.median(counts[occurs]) / counts[occurs]
    return weights.astype(np.float32)


def frame_cross_entropy(
    logits: jax.Array, labels: jax.Array, class_weights: ArrayLike | None = None
) -> jax.Array:
    """Cross entropy over the labelled frames, each counted with its class's weight.

    Args:
        logits: float32 [B, L, C].
        labels: int32 [B, L], -1 at padding and where there is no label.
        class_weights: float32 [C].

    Returns:
        float32 []: the weighted mean; 0 where nothing is labelled.
    """
    labelled = labels != UNLABELLED
    true_class = jnp.where(labelled, labels, 0)
    log_probability = jnp.take_along_axis(jax.nn.log_softmax(logits), true_class[..., None], -1)
    weights = labelled.astype(logits.dtype)
    if class_weights is not None:
        weights = weights * jnp.asarray(class_weights)[true_class]
    total = jnp.sum(weights)
    return -jnp.sum(weights * log_probability[..., 0]) / jnp.where(total > 0, total, 1)


def smoothing_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Truncated mean squared error between the log probabilities of neighbouring frames.

    Equations 8 to 10 of Farha & Gall 2019: differences count up to 4, and the earlier of the two
    frames gets no gradient.

    Args:
        logits: float32 [B, L, C].
        labels: int32 [B, L]; a pair counts where neither frame is -1.

    Returns:
        float32 []: the mean over pairs and classes; 0 without pairs.
    """
    log_probability = jax.nn.log_softmax(logits)
    earlier = jax.lax.stop_gradient(log_probability[:, :-1])
    squared = jnp.minimum((log_probability[:, 1:] - earlier) ** 2, _LARGEST_DIFFERENCE**2)
    labelled = labels != UNLABELLED
    pairs = labelled[:, 1:] & labelled[:, :-1]
    total = jnp.sum(jnp.where(pairs[..., None], squared, 0))
    return total / (jnp.maximum(jnp.sum(pairs), 1) * logits.shape[-1])


def temporal_loss(
    stage_logits: jax.Array,
    labels: jax.Array,
    class_weights: ArrayLike | None,
    smoothing_weight: float,
) -> jax.Array:
    """Sum over the stages of cross entropy + smoothing_weight * smoothing loss.

    Args:
        stage_logits: float32 [S, B, L, C].
        labels, class_weights: as for the two losses.

    Returns:
        float32 [].
    """

    def stage_loss(logits: jax.Array) -> jax.Array:
        smoothing = smoothing_loss(logits, labels)
        return frame_cross_entropy(logits, labels, class_weights) + smoothing_weight * smoothing

    return jnp.sum(jax.vmap(stage_loss)(stage_logits))
