"""The state that training carries from step to step, made on a mesh, shard by shard."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from surgvista_jax.training.partition import AnyMesh, state_shardings, unboxed_shapes


@flax.struct.dataclass
class TrainState:
    """What a step changes.

    Attributes:
        step: int32 [], the number of updates tried.
        params: what is trained.
        opt_state: the optimiser's moments.
        average: a running mean of the parameters, of the same tree; None where none is kept.
    """

    step: jax.Array
    params: Any
    opt_state: Any
    average: Any = None

    @property
    def evaluated(self) -> Any:
        """The parameters to be evaluated: the running mean where there is one."""
        return self.params if self.average is None else self.average


def is_finite(state: TrainState) -> bool:
    """Whether all numbers of a state are finite."""

    def finite(leaves: list[jax.Array]) -> jax.Array:
        return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()

    leaves = jax.tree.leaves((state.params, state.opt_state, state.average))
    return bool(jax.jit(finite)([x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)]))


def create_sharded(init: Callable[[], Any], mesh: Mesh) -> Any:
    """Runs `init` under jit so that each of its arrays is made in its shards, never whole.

    Args:
        init: returns a tree whose leaves may be boxed with logical axis names.
        mesh: where the arrays go, by the rules of `partition`.

    Returns:
        The unboxed tree.
    """
    return _created(init, abstract_sharded(init, mesh))


def create_filled(
    init: Callable[[], dict],
    loaded: Mapping[str, Any],
    mesh: Mesh,
    abstract: Mapping[str, Any] | None = None,
) -> dict:
    """`create_sharded`, but some parts of the tree are loaded and only the others are computed.

    Args:
        init: returns a dict of parts, whose leaves may be boxed with logical axis names.
        loaded: part -> tree of NumPy arrays; a name that `init` does not have is left alone.
        mesh: where the arrays go, by the rules of `partition`.
        abstract: `abstract_sharded` of `init`, where it is known: tracing a model takes a while.

    Returns:
        The unboxed tree; of a loaded array, too, each device receives its own shard alone.

    Raises:
        ValueError: a loaded part has other leaves or shapes than `init` makes.
    """
    abstract = abstract_sharded(init, mesh) if abstract is None else abstract
    random = {name: part for name, part in abstract.items() if name not in loaded}
    made = {}
    if random:
        made = _created(
            lambda: {name: part for name, part in init().items() if name in random}, random
        )
    return {
        name: made[name] if name in random else place(loaded[name], part)
        for name, part in abstract.items()
    }


def _created(init: Callable[[], Any], abstract: Any) -> Any:
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    return jax.jit(lambda: nn.unbox(init()), out_shardings=shardings)()


def abstract_sharded(init: Callable[[], Any], mesh: AnyMesh) -> Any:
    """The shapes, types and shardings of `create_sharded`, without computing anything."""
    abstract = jax.eval_shape(init)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        unboxed_shapes(abstract),
        state_shardings(abstract, mesh),
    )


def initial_state(
    params: Any, optimizer: optax.GradientTransformation, average: bool = False
) -> TrainState:
    """The state before the first update; boxes around the parameters carry over to the moments.

    Args:
        average: whether a running mean of the parameters is kept.
    """
    mean = jax.tree.map(jnp.copy, params) if average else None
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), mean)


def place(values: Any, abstract: Any) -> Any:
    """Puts host arrays onto a mesh leaf by leaf, each device receiving its own shard alone.

    Args:
        values: a tree of NumPy arrays.
        abstract: the same tree of `jax.ShapeDtypeStruct` with shardings (`abstract_sharded`).

    Raises:
        ValueError: the trees or a shape differ.
    """

    def put(value: np.ndarray, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if value.shape != leaf.shape:
            raise ValueError(f"an array of shape {value.shape} where {leaf.shape} is wanted")

        def shard(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None  # every device of the mesh has a shard
            return np.ascontiguousarray(value[index], leaf.dtype)

        return jax.make_array_from_callback(leaf.shape, leaf.sharding, shard)

    return jax.tree.map(put, values, abstract)
