"""Losses of class scores: one class a clip, or several."""

import jax


def soft_cross_entropy(
    logits: jax.Array, target: jax.Array, class_weight: jax.Array | None = None
) -> jax.Array:
    """-sum over classes of weight * target * log softmax: float32 [B, C] twice -> [B].

    Args:
        target: shares of each class that sum to 1, such as one-hot, smoothed or mixed ones.
        class_weight: float32 [C].
    """
    if class_weight is not None:
        target = target * class_weight[None]
    return -(target * jax.nn.log_softmax(logits)).sum(-1)


def binary_cross_entropy(
    logits: jax.Array, target: jax.Array, positive_weight: jax.Array | None = None
) -> jax.Array:
    """Mean over classes of the cross entropy of each yes or no: float32 [B, C] twice -> [B].

    Args:
        target: 0 to 1.
        positive_weight: float32 [C], by which a class's positives count.
    """
    yes, no = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    if positive_weight is not None:
        yes = yes * positive_weight[None]
    return -(target * yes + (1 - target) * no).mean(-1)
