"""AdamW, which parameters decay, and the learning rate of each update."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """AdamW with warm-up and cosine.

    Attributes:
        learning_rate: peak per `reference_batch` clips: the peak itself is
            learning_rate * global batch / reference_batch.
        final_learning_rate: where the cosine ends, scaled in the same way.
        reference_batch: clips in the batch that both rates are quoted for.
        warmup_epochs: epochs of linear rise from 0.
        weight_decay: decoupled decay of kernels and mask tokens; biases, norms, scales, positions
            and class tokens do not decay.
        beta1, beta2, epsilon: of Adam.
    """

    learning_rate: float = 1.5e-4
    final_learning_rate: float = 1e-4
    reference_batch: int = 256
    warmup_epochs: float = 40.0
    weight_decay: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8

    def __post_init__(self):
        if self.reference_batch < 1:
            raise ValueError("reference_batch must be positive")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError("beta1 and beta2 must lie in [0, 1)")
        rates = (self.learning_rate, self.final_learning_rate, self.warmup_epochs)
        if min(*rates, self.weight_decay, self.epsilon) < 0:
            raise ValueError("rates, warmup_epochs, weight_decay and epsilon must not be negative")


def warmup_cosine(
    peak: float, final: float, warmup_steps: int, total_steps: int
) -> Callable[[jax.Array], jax.Array]:
    """Learning rate of an update: linear from 0 to `peak`, then a half cosine towards `final`.

    The peak is reached on the last update of the warm-up, and the last update of all is one step
    short of `final`, as in the method's reference. Returns a function of the update's number
    (int32 [], from 0) to float32 [].
    """

    def learning_rate(step: jax.Array) -> jax.Array:
        rise = peak * step / max(warmup_steps - 1, 1)
        share = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
        fall = final + 0.5 * (peak - final) * (1 + jnp.cos(jnp.pi * jnp.minimum(share, 1.0)))
        return jnp.where(step < warmup_steps, rise, fall).astype(jnp.float32)

    return learning_rate


def make_schedule(
    config: OptimConfig, batch_size: int, steps_per_epoch: float, total_steps: int
) -> Callable[[jax.Array], jax.Array]:
    """The schedule of a run whose global batch holds `batch_size` clips."""
    scale = batch_size / config.reference_batch
    warmup_steps = min(round(config.warmup_epochs * steps_per_epoch), total_steps)
    return warmup_cosine(
        config.learning_rate * scale, config.final_learning_rate * scale, warmup_steps, total_steps
    )


def decays(params: dict) -> dict:
    """Which leaves decay: a tree of booleans. By name, because stacked norms have two axes."""

    def rule(path: tuple, _: jax.Array) -> bool:
        names = [entry.key for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        return names[-1].endswith("kernel") or names[-1] == "mask_token"

    return jax.tree_util.tree_map_with_path(rule, params)


def make_optimizer(config: OptimConfig) -> optax.GradientTransformation:
    """AdamW without its learning rate.

    The training step multiplies by minus the rate itself, so that the rate is a function of the
    step alone, whatever steps were skipped.
    """
    return optax.chain(
        optax.scale_by_adam(config.beta1, config.beta2, config.epsilon),
        optax.add_decayed_weights(config.weight_decay, mask=decays),
    )
