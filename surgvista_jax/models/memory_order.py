"""In which order do the numbers of an array lie in a GPU's memory?"""

import math

import jax
from flax import linen as nn
from jax.experimental.layout import Layout, with_layout_constraint

from surgvista_jax.models.attention import traced_for


def row_major(x: jax.Array) -> jax.Array:
    """[B, ...] as it is, which XLA may not turn around in a GPU's memory.

    XLA chooses an order for all of a program. For the gradients of a few biases and kernels it has
    laid the tokens of a whole finetuning step out as [B, D, N], so that each norm first wrote a
    turned copy, and one of float32: a third of what elementwise kernels read and write (H100, jax
    0.11.2).
    """
    if traced_for() != "gpu":
        return x

    def ordered(x: jax.Array) -> jax.Array:
        return with_layout_constraint(x, Layout(tuple(range(x.ndim))))

    mesh = jax.sharding.get_abstract_mesh()
    if mesh.size <= 1:
        return ordered(x)
    # XLA would gather a divided array for this, so that each device does it to its own share.
    batch, *_ = nn.logical_to_mesh_axes(("batch",)) or (None,)
    axes = {batch} if isinstance(batch, str) else set(batch or ())
    if not axes or len(x) % math.prod(mesh.shape[name] for name in axes):
        return x
    spec = jax.P(batch)
    return jax.shard_map(ordered, in_specs=spec, out_specs=spec, axis_names=axes)(x)
