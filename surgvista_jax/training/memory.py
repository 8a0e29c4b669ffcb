"""How much memory a training step needs, before anything is loaded or compiled.

Counted are parameters, moments, gradients and what the forward pass keeps for the backward pass, by
tracing shapes alone, and what a compiler does: in a loop over blocks it computes decoders one after
the other, and without one it writes other values than the trace keeps.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.partition import AnyMesh, num_shares
from surgvista_jax.training.stacks import Stack, kept_by
from surgvista_jax.training.state import TrainState

# A kept value costs two operations at least, in any layer: this many bytes an operation is never
# reached, and models that need next to nothing are not traced.
_BYTES_PER_OPERATION = 2.0
_SMALL = 0.25  # of the memory
# Of what is kept by the trace, a compiler writes so much. A loop over blocks writes all, carrying
# it along; without one XLA writes nearly all of the blocks' and less of the rest (jax 0.11.2, H100,
# 16x224x224, bfloat16, steps of 64 clips: 12.9 GiB for pretraining ViT-B with a ViT-L teacher, 23.6
# for finetuning ViT-B; of 128 clips 22.8 for the former).
_LOOP, _UNROLLED, _UNROLLED_REST = 1.04, 0.98, 0.72
# What an operation reads and writes, times this, is about what a forward pass holds at a time.
_FORWARD = 1.4


@dataclasses.dataclass(frozen=True)
class Need:
    """Bytes on one device.

    Attributes:
        state: parameters, moments and their running mean.
        gradients: of the parameters, with their sum where they are accumulated, and the parameters
            in the products' type where blocks are computed anew.
        frozen: parameters that are not trained.
        per_clip: what one clip keeps for the backward pass, and its pixels.
        clips: at a time on one device.
    """

    state: float
    gradients: float
    frozen: float
    per_clip: float
    clips: float

    @property
    def fixed(self) -> float:
        """What any batch needs."""
        return self.state + self.gradients + self.frozen

    @property
    def total(self) -> float:
        return self.fixed + self.per_clip * self.clips


def need_of(
    loss: Callable[..., Any],
    state: TrainState,
    frozen: Any,
    batch: Callable[[int], Mapping[str, jax.ShapeDtypeStruct]],
    budget: BudgetConfig,
    mesh: AnyMesh,
    compute: ComputeConfig,
    stacks: Sequence[Stack] = (),
) -> Need:
    """Estimates a step by shapes alone; call it where the mesh is set.

    Args:
        loss: (params, frozen, batch, key, average) -> (loss, metrics).
        state, frozen: `jax.ShapeDtypeStruct`s with shardings (`abstract_sharded`).
        batch: the shapes and types of a batch of so many clips.
        budget: clips an update, and in how many parts.
        mesh: the devices that share it out.
        compute: how its models are computed.
        stacks: those of its blocks that get a gradient.
    """
    shares = num_shares(mesh)

    def kept(clips: int) -> int:
        def backward(params: Any, fixed: Any, part: Any, seed: jax.Array, mean: Any) -> Any:
            return jax.vjp(lambda p: loss(p, fixed, part, seed, mean), params, has_aux=True)[1]

        key = jax.eval_shape(lambda: jax.random.key(0))
        traced = jax.eval_shape(backward, state.params, frozen, batch(clips), key, state.average)
        return size_of(traced)

    # The difference of two sizes: parameters are kept once, whatever the number of clips.
    few, more = 2 * shares, 4 * shares
    traced = (kept(more) - kept(few)) / (more - few)
    blocks = kept_by(stacks, compute)
    rest = max(traced - blocks.traced, 0.0)  # of losses and embeddings
    if compute.remat == "none":
        if compute.unroll:
            held = _UNROLLED * blocks.traced + _UNROLLED_REST * rest
        else:
            held = _LOOP * (blocks.at_once + rest)
    else:  # the losses are done when a block is computed anew
        held = blocks.at_once + max(rest, blocks.recomputed)

    def forward(part: Any, parameters: Any, fixed: Any, mean: Any) -> Any:
        return loss(parameters, fixed, part, jax.random.key(0), mean)

    working = _working(forward, batch, shares, state.params, frozen, state.average)
    per_clip = max(held, working) / mesh.shape["model"]
    params = bytes_of_one(state.params)
    return Need(
        state=bytes_of_one((state.params, state.opt_state, state.average)),
        gradients=params * (_gradient_share(compute) + (budget.accumulate > 1)),
        frozen=bytes_of_one(frozen),
        per_clip=per_clip + size_of(batch(1)),
        clips=budget.batch_size / budget.accumulate / shares,
    )


def _gradient_share(compute: ComputeConfig) -> float:
    """Bytes of gradients, and of what stands beside them, for one of parameters.

    Products give a kernel's gradient in their own type, and without a loop, which stacks gradients
    in the parameters' type, XLA widens them only where they are summed or applied. Where blocks are
    computed anew, the kernels that were rounded for the forward pass are still there when the last
    gradient is; else activations, which are gone by then, are the most.
    """
    if not compute.unroll:
        return 1.0
    share = jnp.dtype(compute.dtype).itemsize / 4
    return 2 * share if compute.remat == "full" and share < 1 else share


def need_forward(
    function: Callable[..., Any], variables: Any, batch: Any, clips: int, mesh: Mesh
) -> Need:
    """Estimates a pass without gradients by shapes alone; call it where the mesh is set.

    Args:
        function: (variables, video) -> what is computed of it.
        variables: `jax.ShapeDtypeStruct`s with shardings.
        batch: the shape and type of one clip's video, [1, T, H, W, 3].
        clips: at a time, over all devices.
        mesh: the devices that share them out.
    """
    shares = num_shares(mesh)

    def some(count: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((count, *batch.shape[1:]), batch.dtype)

    def forward(video: Any, parameters: Any) -> Any:
        return function(parameters, video)

    working = _working(forward, some, shares, variables) / mesh.shape["model"]
    # Two batches are on the devices at a time: the next is brought while one is computed.
    return Need(0.0, 0.0, bytes_of_one(variables), working + 2 * size_of(batch), clips / shares)


def _working(
    function: Callable[..., Any], batch: Callable[[int], Any], shares: int, *shapes: Any
) -> float:
    """Bytes that a forward pass holds at a time of one clip: by its largest operation.

    By the difference of two batches, so large that no operation on parameters alone is larger.
    """
    few, more = 64 * shares, 128 * shares
    sizes = [
        _largest(jax.make_jaxpr(function)(batch(clips), *shapes).jaxpr) for clips in (few, more)
    ]
    return _FORWARD * (sizes[1] - sizes[0]) / (more - few)


def _largest(jaxpr: Any) -> float:
    """Bytes that the largest operation reads and writes; loops are entered, and not one."""
    largest = 0.0
    for equation in jaxpr.eqns:
        inner = [
            getattr(part, "jaxpr", part)
            for value in equation.params.values()
            for part in (value if isinstance(value, tuple | list) else (value,))
            if hasattr(getattr(part, "jaxpr", part), "eqns")
        ]
        if inner:
            largest = max(largest, *map(_largest, inner))
        else:
            arrays = [*equation.invars, *equation.outvars]
            largest = max(largest, sum(map(_size_of_variable, arrays)))
    return largest


def _size_of_variable(variable: Any) -> float:
    shape, dtype = getattr(variable.aval, "shape", ()), getattr(variable.aval, "dtype", None)
    return 0.0 if dtype is None else float(math.prod(shape) * _width(dtype))


def is_small(
    flops_per_clip: float, parameters: float, budget: BudgetConfig, mesh: Mesh, memory: float
) -> bool:
    """Whether a step surely fits, by its operations and the bytes of all parameters alone."""
    clips = budget.batch_size / budget.accumulate / mesh.size
    # Parameters, two moments, a running mean, gradients and their sum.
    return 6 * parameters + _BYTES_PER_OPERATION * flops_per_clip * clips < _SMALL * memory


def size_of(tree: Any) -> int:
    """Bytes of all arrays of a tree of shapes, whole."""
    return sum(math.prod(leaf.shape) * _width(leaf.dtype) for leaf in jax.tree.leaves(tree))


def bytes_of_one(tree: Any) -> int:
    """Bytes of the shards that one device holds."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * _width(leaf.dtype)
        for leaf in jax.tree.leaves(tree)
    )


def _width(dtype: Any) -> int:
    return 8 if jnp.issubdtype(dtype, jax.dtypes.extended) else jnp.dtype(dtype).itemsize
