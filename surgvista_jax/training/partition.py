"""Where arrays live: the device mesh, the one table of sharding rules, each process's rows."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from surgvista_jax.checks import LARGEST_WHOLE, check
from surgvista_jax.errors import UserError

AXES = ("data", "fsdp", "model")
BATCH_AXES = ("data", "fsdp")
AnyMesh = Mesh | AbstractMesh  # shapes need no devices

# Logical axis -> mesh axis. A parameter names its logical axes, this table alone decides where they
# go; a name that is not here is an error, so that a typo cannot quietly replicate a large array.
RULES = (
    ("batch", BATCH_AXES),
    ("embed", "fsdp"),
    ("heads", "model"),
    ("mlp", "model"),
    ("layers", None),
    ("patch", None),
    ("output", None),
)


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Sizes of the mesh axes; at most one of them is -1 and takes the devices that are left.

    data: replicas of the parameters, each with its own part of the batch.
    fsdp: parts of the batch over which the parameters' width is sharded too.
    model: parts of the heads and of the hidden layers; they see the same clips.
    """

    data: int = -1
    fsdp: int = 1
    model: int = 1

    def __post_init__(self) -> None:
        rule = "a positive number, or -1 for the rest"
        check(self, rule, lambda size: size == -1 or 1 <= size <= LARGEST_WHOLE, *AXES)


def mesh_shape(config: MeshConfig, num_devices: int) -> tuple[int, int, int]:
    """The three axis sizes with -1 filled in. Raises UserError unless they use every device."""
    sizes = [config.data, config.fsdp, config.model]
    named = ", ".join(f"config.mesh.{axis}={size}" for axis, size in zip(AXES, sizes, strict=True))
    if sizes.count(-1) > 1:
        raise UserError(f"{named}: only one size may be -1")
    fixed = math.prod(size for size in sizes if size != -1)
    if -1 in sizes:
        if num_devices % fixed:
            raise UserError(
                f"{named}: the fixed sizes multiply to {fixed}, which must divide the"
                f" {num_devices} devices here"
            )
        sizes[sizes.index(-1)] = num_devices // fixed
    elif fixed != num_devices:
        raise UserError(
            f"{named}: the sizes multiply to {fixed}, but there are {num_devices} devices here;"
            " make one of them -1 to take the rest"
        )
    data, fsdp, model = sizes
    return data, fsdp, model


def make_mesh(config: MeshConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """The mesh ("data", "fsdp", "model") over `devices`, by default those of every process.

    `model` varies fastest, so the devices that exchange most are neighbours (of one process where
    the sizes allow it). Between slices of TPUs, and between machines with GPUs, the network is
    slower: `data` goes over it as far as its size allows, then `fsdp`, and `model` last.
    Axis types are Auto: linen's partitioned initialisers refuse Explicit axes.

    Raises:
        UserError: the sizes do not use every device, or slices have unequal numbers of them.
    """
    devices = jax.devices() if devices is None else devices
    types = (jax.sharding.AxisType.Auto,) * len(AXES)
    # JAX counts the GPUs of a machine as a slice; devices without the attribute are all in one.
    slices: dict[int, list[jax.Device]] = {}
    for device in devices:
        slices.setdefault(getattr(device, "slice_index", 0), []).append(device)
    sizes = {len(members) for members in slices.values()}
    if len(sizes) > 1:
        raise UserError(
            f"the {len(slices)} slices or machines have {', '.join(map(str, sorted(sizes)))}"
            " devices: take as many of each"
        )
    shape = mesh_shape(config, len(devices))
    outer = _over_slices(shape, len(slices))
    inner = tuple(size // over for size, over in zip(shape, outer, strict=True))
    # `jax.make_mesh` knows how devices of one slice are connected, and refuses several.
    parts = [
        jax.make_mesh(inner, AXES, axis_types=types, devices=members).devices
        for _, members in sorted(slices.items())
    ]
    both = np.array(parts).reshape(*outer, *inner).transpose(0, 3, 1, 4, 2, 5)
    return Mesh(both.reshape(shape), AXES, axis_types=types)


def _over_slices(shape: tuple[int, int, int], num_slices: int) -> tuple[int, int, int]:
    """How much of each axis goes over slices: of `data` as much as divides it, then of the rest."""
    over = []
    for size in shape:
        over.append(math.gcd(size, num_slices))
        num_slices //= over[-1]
    data, fsdp, model = over
    return data, fsdp, model


def imagined_mesh(config: MeshConfig, num_devices: int) -> AbstractMesh:
    """The mesh of `make_mesh` over devices that are not here: for shapes alone."""
    types = (jax.sharding.AxisType.Auto,) * len(AXES)
    return AbstractMesh(mesh_shape(config, num_devices), AXES, axis_types=types)


def check_divisible(
    mesh: AnyMesh,
    *,
    batch_size: int,
    accumulate: int = 1,
    dims: Mapping[str, Mapping[str, int]] | None = None,
    key: str = "config.budget.batch_size",
    together: int = 1,
) -> None:
    """Raises UserError, in words, for a batch or a dimension that the mesh cannot divide evenly.

    dims: logical axis -> what to call it -> size, such as
        {"embed": {"encoder width": 768}, "heads": {"config.model.encoder.heads": 12}}.
    key: where the user gives the batch size.
    together: clips of a stretch, which stay on one device.
    """
    if batch_size < 1:
        raise UserError(f"{key}={batch_size}: should be at least 1")
    if batch_size % accumulate:
        raise UserError(
            f"{key}={batch_size}: should be a multiple of config.budget.accumulate={accumulate}"
        )
    shares = num_shares(mesh)
    micro_batch = batch_size // accumulate
    step = shares * accumulate * together
    if together > 1 and batch_size % step:
        raise UserError(
            f"{key}={batch_size}: config.clip.slide={together} clips of a stretch stay together, on"
            f" one of {shares} device(s) and in one of {accumulate} part(s): make it a multiple of"
            f" {step}, such as {math.ceil(batch_size / step) * step}"
        )
    if micro_batch % shares:
        parts = f" / accumulate {accumulate} = {micro_batch} clips at a time"
        raise UserError(
            f"{key}={batch_size}{parts if accumulate > 1 else ''} cannot be shared by data"
            f" {mesh.shape['data']} x fsdp {mesh.shape['fsdp']} = {shares} devices: make it a"
            f" multiple of {step}, such as {math.ceil(batch_size / step) * step}"
        )
    rules = dict(RULES)
    for logical, sizes in (dims or {}).items():
        axis = rules[logical]
        for name, size in sizes.items():
            if axis is not None and size % mesh.shape[axis]:
                raise UserError(
                    f"config.mesh.{axis}={mesh.shape[axis]}: should divide {name}, which is {size}"
                )


def num_shares(mesh: AnyMesh) -> int:
    """Parts into which the mesh divides a batch; 1 where none is set."""
    return math.prod(mesh.shape.get(axis, 1) for axis in BATCH_AXES)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The first dimension over data x fsdp, the rest whole."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def unboxed_shapes(abstract_boxed_tree: Any) -> Any:
    """The tree without its boxes. `nn.unbox` would constrain arrays that are shapes only."""
    return jax.tree.map(
        lambda leaf: (
            leaf.unbox(apply_constraint=False)
            if isinstance(leaf, nn.LogicallyPartitioned)
            else leaf
        ),
        abstract_boxed_tree,
        is_leaf=lambda leaf: isinstance(leaf, nn.LogicallyPartitioned),
    )


def state_shardings(abstract_boxed_tree: Any, mesh: AnyMesh) -> Any:
    """Shardings of a tree of `nn.LogicallyPartitioned` boxes (as `jax.eval_shape` gives it).

    Leaves without a box are replicated. Raises UserError for a logical axis that RULES lacks and
    for a parameter whose dimension its mesh axis does not divide.
    """
    specs = nn.get_partition_spec(abstract_boxed_tree)
    known = {logical for logical, _ in RULES}
    for spec in jax.tree.leaves(specs, is_leaf=lambda x: isinstance(x, PartitionSpec)):
        for name in set(spec) - known - {None}:
            raise UserError(f"logical axis {name!r} has no rule; known are {', '.join(known)}")
    shardings = jax.tree.map(
        lambda spec: NamedSharding(mesh, spec),
        nn.logical_to_mesh(specs, RULES),
        is_leaf=lambda x: isinstance(x, PartitionSpec),
    )
    shapes = jax.tree_util.tree_leaves_with_path(unboxed_shapes(abstract_boxed_tree))
    for (path, leaf), sharding in zip(shapes, jax.tree.leaves(shardings), strict=True):
        for dim, (size, axis) in enumerate(zip(leaf.shape, sharding.spec, strict=False)):
            if axis is not None and size % mesh.shape[axis]:
                name = jax.tree_util.keystr(path, simple=True, separator="/")
                raise UserError(
                    f"parameter {name} {leaf.shape}: dimension {dim} cannot be split over"
                    f" config.mesh.{axis}={mesh.shape[axis]}, which should divide {size}"
                )
    return shardings


def _is_ours(device: jax.Device) -> bool:
    return device.process_index == jax.process_index()


def process_rows(
    sharding: NamedSharding, batch_size: int, ours: Callable[[jax.Device], bool] = _is_ours
) -> np.ndarray:
    """The rows of the global batch that this process's devices hold: int64, ascending.

    They are read off the sharding, so they may have gaps, and several processes may need the same
    rows (when the model axis spans them).

    ours: says which devices count; by default those of this process.
    """
    index_map = sharding.devices_indices_map((batch_size,))
    rows = [np.arange(batch_size)[index[0]] for device, index in index_map.items() if ours(device)]
    return np.unique(np.concatenate(rows))


def to_global(mesh: Mesh, local_batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Global arrays, sharded by rows, from this process's rows alone.

    local_batch: arrays whose first dimension is `process_rows(batch_sharding(mesh), batch_size)`,
        in that order.
    """
    sharding = batch_sharding(mesh)
    shares = num_shares(mesh)
    own_shares = len(process_rows(sharding, shares))
    arrays: dict[str, jax.Array] = {}
    for name, local in local_batch.items():
        if len(local) % own_shares:
            raise ValueError(f"{name}: {len(local)} rows for {own_shares} shares of the batch")
        shape = (len(local) // own_shares * shares, *local.shape[1:])
        index_map = sharding.addressable_devices_indices_map(shape)
        indices = [index for index in index_map.values() if index is not None]
        blocks = device_blocks(local, process_rows(sharding, shape[0]), indices)
        # An explicit device_put, because the transfer guard lets no other transfer through.
        placed = jax.device_put(blocks, list(index_map))
        arrays[name] = jax.make_array_from_single_device_arrays(shape, sharding, placed)
    return arrays


def device_blocks(
    local: np.ndarray, rows: np.ndarray, indices: Sequence[tuple[slice, ...]]
) -> list[np.ndarray]:
    """For each device the block of `local` that it holds.

    Args:
        local: the rows of the global batch named by `rows` (ascending), as `process_rows` gives.
        indices: each device's index into the global batch.
    """
    blocks = []
    for index in indices:
        first, last = index[0].start or 0, index[0].stop
        start = np.searchsorted(rows, first)
        blocks.append(local[start:] if last is None else local[start : start + last - first])
    return blocks
