"""What training carries from step to step, and how it is made on a mesh, shard by shard."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from surgvista_jax.training.partition import state_shardings, unboxed_shapes


@flax.struct.dataclass
class TrainState:
    """What a step changes: the number of updates tried, parameters and optimiser moments."""

    step: jax.Array
    params: Any
    opt_state: Any


def create_sharded(init: Callable[[], Any], mesh: Mesh) -> Any:
    """Runs `init` under jit so that each of its arrays is made in its shards, never whole.

    Args:
        init: returns a tree whose leaves may be boxed with logical axis names.
        mesh: where the arrays go, by the rules of `partition`.

    Returns:
        The unboxed tree.
    """
    shardings = state_shardings(jax.eval_shape(init), mesh)
    return jax.jit(lambda: nn.unbox(init()), out_shardings=shardings)()


def abstract_sharded(init: Callable[[], Any], mesh: Mesh) -> Any:
    """The shapes, types and shardings of `create_sharded`, without computing anything."""
    abstract = jax.eval_shape(init)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        unboxed_shapes(abstract),
        state_shardings(abstract, mesh),
    )


def initial_state(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first update; boxes around the parameters carry over to the moments."""
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))
