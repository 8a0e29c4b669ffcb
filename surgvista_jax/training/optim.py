"""AdamW, which parameters decay, and the learning rate of each update."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from surgvista_jax.checks import check, check_whole
from surgvista_jax.training.budget import BudgetConfig


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
        layer_decay: each block of a ViT learns at this share of the rate of the next, the
            embedding at that of the first block, and the head at the full rate; 1 for none.
            Adapters and convolutions have no such layers: they learn at the full rate.
    """

    learning_rate: float = 1.5e-4
    final_learning_rate: float = 1e-4
    reference_batch: int = 256
    warmup_epochs: float = 40.0
    weight_decay: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        check_whole(self, 1, "reference_batch")
        check(self, "from 0 to below 1", lambda share: 0 <= share < 1, "beta1", "beta2")
        rates = ("learning_rate", "final_learning_rate", "warmup_epochs")
        check(self, "0 or more", lambda rate: rate >= 0, *rates, "weight_decay", "epsilon")
        check(self, "above 0 and at most 1", lambda share: 0 < share <= 1, "layer_decay")


def check_warmup(config: OptimConfig, budget: BudgetConfig) -> None:
    """Refuses a warm-up that no run of so many epochs comes to the end of."""
    if budget.epochs is not None and config.warmup_epochs > budget.epochs:
        raise ValueError(
            f"optim.warmup_epochs={config.warmup_epochs:g}: should be at most"
            f" budget.epochs={budget.epochs:g}, or the learning rate never reaches its peak"
        )


def long_warmup(config: OptimConfig, budget: BudgetConfig, clips: int) -> str | None:
    """What to say of a run of so many steps, such as a trial, that ends within its warm-up."""
    warmup = round(config.warmup_epochs * budget.steps_per_epoch(clips))
    if budget.steps is None or warmup <= budget.steps:
        return None
    return (
        f"config.optim.warmup_epochs={config.warmup_epochs:g}: are {warmup} updates, the run has"
        f" budget.steps={budget.steps}: its learning rate rises to the end"
    )


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
        name = _names(path)[-1]
        return name.endswith("kernel") or name == "mask_token"

    return jax.tree_util.tree_map_with_path(rule, params)


# What a ViT has before its first block.
_EMBEDDING = ("patch_embedding", "positions", "class_token", "class_position")


def layer_scales(params: dict, decay: float) -> dict:
    """The share of the learning rate of each leaf: arrays that broadcast over it.

    With L stacked blocks the embedding is layer 0, the blocks 1 to L and all the rest L + 1; layer
    n learns at decay ** (L + 1 - n), as in the finetuning of BEiT (Bao et al., 2022) and the masked
    autoencoders after it.
    """
    paths = jax.tree_util.tree_leaves_with_path(params)
    depths = {leaf.shape[0] for path, leaf in paths if "blocks" in _names(path)}
    if len(depths) > 1:
        raise ValueError(f"layer decay knows one stack of blocks, not several: {sorted(depths)}")
    depth = depths.pop() if depths else 0

    def scale(path: tuple, leaf: jax.Array) -> jax.Array:
        names = _names(path)
        if "blocks" in names:
            layers = decay ** jnp.arange(depth, 0, -1, dtype=jnp.float32)
            return layers.reshape(-1, *(1,) * (leaf.ndim - 1))
        layer = 0 if depth and any(name in _EMBEDDING for name in names) else depth + 1
        return jnp.full((1,) * leaf.ndim, decay ** (depth + 1 - layer), jnp.float32)

    return jax.tree_util.tree_map_with_path(scale, params)


def _names(path: tuple) -> list[str]:
    return [entry.key for entry in path if isinstance(entry, jax.tree_util.DictKey)]


class Optimizer(NamedTuple):
    """How gradients change parameters.

    Attributes:
        transform: what an update does to them, without its learning rate.
        schedule: (steps an epoch, steps of the run) -> the learning rate, float32 [], of an update
            by its number, int32 [].
    """

    transform: optax.GradientTransformation
    schedule: Callable[[int, int], Callable[[jax.Array], jax.Array]]


def adamw(config: OptimConfig, batch_size: int) -> Optimizer:
    """What a configuration asks for in a run whose global batch holds `batch_size` clips."""
    return Optimizer(
        make_optimizer(config),
        lambda steps_per_epoch, steps: make_schedule(config, batch_size, steps_per_epoch, steps),
    )


def make_optimizer(config: OptimConfig) -> optax.GradientTransformation:
    """AdamW without its learning rate.

    The training step multiplies by minus the rate itself, so that the rate is a function of the
    step alone, whatever steps were skipped.
    """
    parts = [
        optax.scale_by_adam(config.beta1, config.beta2, config.epsilon),
        optax.add_decayed_weights(config.weight_decay, mask=decays),
    ]
    if config.layer_decay < 1:

        def scale(updates: dict, _: dict) -> dict:
            return jax.tree.map(jnp.multiply, updates, layer_scales(updates, config.layer_decay))

        parts.append(optax.stateless(scale))
    return optax.chain(*parts)
