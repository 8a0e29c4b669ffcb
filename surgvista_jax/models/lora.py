"""Low-rank adapters: small factors that finetune the kernels of a frozen backbone.

The factors are multiplied into the kernels at each step: a step computes what full finetuning does,
and saves the moments and checkpoints of the backbone. Source: Hu et al., "LoRA: Low-Rank Adaptation
of Large Language Models" (2022).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.checks import check, check_whole

# Kernel of a block -> how many of its axes, after the stacked layers, are inputs.
KERNELS = {
    "qkv": ("attention/qkv_kernel", 1),
    "out": ("attention/out_kernel", 2),
    "up": ("mlp/up/kernel", 1),
    "down": ("mlp/down/kernel", 1),
}
BLOCKS = "transformer/blocks/"


@dataclasses.dataclass(frozen=True)
class LoraConfig:
    """Which kernels get adapters, and of what rank.

    Attributes:
        rank: r, the inner size of the two factors.
        alpha: their product is scaled by alpha / rank.
        kernels: of each block, separated by commas: "qkv", "out", "up", "down".
    """

    rank: int = 8
    alpha: float = 16.0
    kernels: str = "qkv,out"

    def __post_init__(self) -> None:
        check_whole(self, 1, "rank", highest=2**18)
        check(self, "above 0", lambda alpha: alpha > 0, "alpha")
        rule = f"of {', '.join(KERNELS)}, separated by commas"
        check(self, rule, lambda names: KERNELS.keys() >= set(names.split(",")), "kernels")

    @property
    def chosen(self) -> dict[str, int]:
        """Path of each kernel with an adapter -> how many of its axes are inputs."""
        return {BLOCKS + KERNELS[name][0]: KERNELS[name][1] for name in self.kernels.split(",")}


def init_adapters(key: jax.Array, backbone: Mapping, config: LoraConfig) -> dict:
    """Adapters of a backbone that leave it as it is: the second factor starts at 0.

    Args:
        key: of the first factor's normal draw.
        backbone: its parameters, or their shapes.

    Returns:
        {path with "." for "/": {"down_kernel": [L, in, r], "up_kernel": [L, r, out]}}, boxed; the
        axes of inputs and of outputs are taken together.
    """
    adapters = {}
    for number, (path, num_inputs) in enumerate(config.chosen.items()):
        shape = _at(backbone, path).shape
        layers, inputs, outputs = _sizes(shape, num_inputs)
        start = jax.random.normal(
            jax.random.fold_in(key, number), (layers, inputs, config.rank), jnp.float32
        )
        adapters[path.replace("/", ".")] = {
            "down_kernel": _boxed(start * inputs**-0.5),
            "up_kernel": _boxed(jnp.zeros((layers, config.rank, outputs), jnp.float32)),
        }
    return adapters


def merge_adapters(backbone: Mapping, adapters: Mapping, config: LoraConfig) -> dict:
    """The backbone with kernel + alpha / rank * down @ up in the place of each adapted kernel."""
    merged = dict(backbone)
    for name, factors in adapters.items():
        path = name.split(".")
        # A merged kernel is a parameter: GPUs are not to round its factors to TF32.
        product = jnp.matmul(
            factors["down_kernel"], factors["up_kernel"], precision=jax.lax.Precision.HIGHEST
        )
        change = (config.alpha / config.rank) * product
        merged = _replaced(merged, path, change)
    return merged


def _replaced(tree: Mapping, path: list[str], change: jax.Array) -> dict:
    first, *rest = path
    old = tree[first]
    new = _replaced(old, rest, change) if rest else old + change.reshape(old.shape)
    return {**tree, first: new}


def _at(tree: Any, path: str) -> jax.Array:
    for name in path.split("/"):
        tree = tree[name]
    return tree.unbox(apply_constraint=False) if isinstance(tree, nn.LogicallyPartitioned) else tree


def _sizes(shape: tuple[int, ...], num_inputs: int) -> tuple[int, int, int]:
    layers, *axes = shape
    inputs = outputs = 1
    for size in axes[:num_inputs]:
        inputs *= size
    for size in axes[num_inputs:]:
        outputs *= size
    return layers, inputs, outputs


def _boxed(value: jax.Array) -> nn.LogicallyPartitioned:
    return nn.LogicallyPartitioned(value, ("layers", None, None))
