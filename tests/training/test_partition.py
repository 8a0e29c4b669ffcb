"""The mesh, the rules and the rows: what is refused in words, and where arrays end up."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from surgvista_jax.errors import UserError
from surgvista_jax.training import partition
from surgvista_jax.training.partition import MeshConfig

MESHES = [MeshConfig(), MeshConfig(fsdp=-1, data=1), MeshConfig(-1, 2, 2), MeshConfig(1, 1, 8)]


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (MeshConfig(), (8, 1, 1)),
        (MeshConfig(2, -1, 2), (2, 2, 2)),
        (MeshConfig(2, 2, 2), (2, 2, 2)),
        (MeshConfig(1, 1, -1), (1, 1, 8)),
    ],
)
def test_rest_of_the_devices_goes_to_the_axis_of_minus_one(config, shape):
    mesh = partition.make_mesh(config)
    assert tuple(mesh.shape.values()) == shape
    assert mesh.axis_names == ("data", "fsdp", "model")
    assert set(mesh.axis_types) == {jax.sharding.AxisType.Auto}
    assert set(mesh.devices.flat) == set(jax.devices())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (MeshConfig(3, 1, 1), "multiply to 3, but there are 8 devices"),
        (MeshConfig(-1, 3, 1), "multiply to 3, which must divide the 8 devices"),
        (MeshConfig(-1, -1, 1), "only one size may be -1"),
    ],
)
def test_sizes_that_do_not_use_every_device_are_refused(config, words):
    with pytest.raises(UserError, match=words):
        partition.make_mesh(config)


# Which axis the slices lie along: `data` where its size allows, and `model` last.
OVER_SLICES = [
    (MeshConfig(-1, 2, 2), 2, "data"),
    (MeshConfig(-1, 2, 1), 4, "data"),
    (MeshConfig(1, -1, 2), 2, "fsdp"),
    (MeshConfig(1, 1, -1), 2, "model"),
]


def in_slices(monkeypatch, slice_of):
    """As JAX says it of TPUs in several slices, and of GPUs in several machines."""
    kind = type(jax.devices()[0])
    monkeypatch.setattr(kind, "slice_index", property(slice_of), raising=False)


@pytest.mark.parametrize(("config", "num_slices", "axis"), OVER_SLICES)
def test_slices_lie_along_the_axis_that_exchanges_least(monkeypatch, config, num_slices, axis):
    plain = partition.make_mesh(config)
    in_slices(monkeypatch, lambda device: device.id % num_slices)
    mesh = partition.make_mesh(config)
    assert mesh.shape == plain.shape and mesh.axis_types == plain.axis_types
    assert set(mesh.devices.flat) == set(jax.devices())
    slices = np.vectorize(lambda device: device.slice_index)(mesh.devices)
    number = partition.AXES.index(axis)
    along = np.moveaxis(slices, number, 0).reshape(mesh.shape[axis], -1)
    # Each place on the axis is in one slice, and the axis goes from slice to slice once.
    assert (along == along[:, :1]).all()
    each = mesh.shape[axis] // num_slices
    assert along[:, 0].tolist() == np.repeat(range(num_slices), each).tolist()


def test_an_axis_that_slices_do_not_divide_shares_them_with_the_next(monkeypatch):
    in_slices(monkeypatch, lambda device: device.id // 2)
    slices = np.vectorize(lambda device: device.slice_index)
    mesh = partition.make_mesh(MeshConfig(2, 4, 1))
    assert slices(mesh.devices)[..., 0].tolist() == [[0, 0, 1, 1], [2, 2, 3, 3]]


def test_unequal_slices_are_refused(monkeypatch):
    in_slices(monkeypatch, lambda device: int(device.id > 2))
    with pytest.raises(UserError, match="the 2 slices or machines have 3, 5 devices"):
        partition.make_mesh(MeshConfig())


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "dims", "words"),
    [
        (
            8,
            3,
            {},
            "config.budget.batch_size=8: should be a multiple of config.budget.accumulate=3",
        ),
        (6, 1, {}, "multiple of 4, such as 8"),
        (8, 4, {}, r"8 / accumulate 4 = 2 clips .* multiple of 16"),
        (
            8,
            2,
            {"embed": {"decoder width": 33}},
            "config.mesh.fsdp=2: should divide decoder width",
        ),
        (
            8,
            2,
            {"heads": {"encoder heads": 3}},
            "config.mesh.model=2: .* heads, which is 3",
        ),
    ],
)
def test_uneven_shares_are_refused_in_words(batch_size, accumulate, dims, words):
    mesh = partition.make_mesh(MeshConfig(2, 2, 2))
    even = {"embed": {"width": 32}, "heads": {"heads": 4}, "layers": {"depth": 3}}
    partition.check_divisible(mesh, batch_size=8, accumulate=2, dims=even)
    with pytest.raises(UserError, match=words):
        partition.check_divisible(mesh, batch_size=batch_size, accumulate=accumulate, dims=dims)


def test_clips_of_a_stretch_stay_together():
    mesh = partition.make_mesh(MeshConfig(2, 2, 2))
    partition.check_divisible(mesh, batch_size=24, accumulate=2, together=3)
    for batch_size in (8, 12, 36):
        with pytest.raises(UserError, match="slide=3 clips .* make it a multiple of 24, such as"):
            partition.check_divisible(mesh, batch_size=batch_size, accumulate=2, together=3)


def boxed(shape, *names):
    initializer = nn.with_logical_partitioning(nn.initializers.zeros, names)
    return jax.eval_shape(lambda: initializer(jax.random.key(0), shape))


def test_parameters_follow_the_table():
    mesh = partition.make_mesh(MeshConfig(2, 2, 2))
    tree = {
        "kernel": boxed((3, 8, 16), "layers", "embed", "mlp"),
        "scale": jax.ShapeDtypeStruct((8,), jnp.float32),
    }
    shardings = partition.state_shardings(tree, mesh)
    assert shardings["kernel"].spec == PartitionSpec(None, "fsdp", "model")
    assert shardings["scale"].is_fully_replicated


def test_a_parameter_that_cannot_be_split_or_has_no_rule_is_named():
    mesh = partition.make_mesh(MeshConfig(2, 2, 2))
    with pytest.raises(
        UserError, match=r"block/kernel \(7, 4\): dimension 0 .* config.mesh.fsdp=2"
    ):
        partition.state_shardings({"block": {"kernel": boxed((7, 4), "embed", "mlp")}}, mesh)
    with pytest.raises(UserError, match="'emebd' has no rule"):
        partition.state_shardings({"kernel": boxed((8,), "emebd")}, mesh)


@pytest.mark.parametrize("config", MESHES, ids=str)
def test_rows_become_the_global_batch_under_the_transfer_guard(config):
    mesh = partition.make_mesh(config)
    batch = {"video": np.arange(48, dtype=np.uint8).reshape(8, 2, 3), "label": np.arange(8.0)}
    with jax.transfer_guard("disallow"):
        arrays = partition.to_global(mesh, batch)
    for name, array in arrays.items():
        assert array.sharding.is_equivalent_to(partition.batch_sharding(mesh), array.ndim)
        np.testing.assert_array_equal(array, batch[name])


def test_every_split_of_the_devices_into_processes_covers_the_batch():
    """Each process's rows are those of its devices, also where they have gaps or are shared."""
    mesh = partition.make_mesh(MeshConfig(2, 2, 2))
    sharding = partition.batch_sharding(mesh)

    def rows(*ids):
        return partition.process_rows(sharding, 8, lambda device: device.id in ids).tolist()

    assert partition.process_rows(sharding, 8).tolist() == list(range(8))
    assert rows(0, 1, 2, 3) == [0, 1, 2, 3]
    assert rows(0, 7) == [0, 1, 6, 7]  # a gap
    assert rows(0, 2) == rows(1, 3) == [0, 1, 2, 3]  # the model axis spans both


@pytest.mark.parametrize("ids", [(0, 7), (1, 2, 5), (4,)])
def test_blocks_of_a_process_with_gaps_go_to_the_right_devices(ids):
    """What one process of several places on its devices equals the global batch's shards."""
    sharding = partition.batch_sharding(partition.make_mesh(MeshConfig(2, 2, 2)))
    batch = np.arange(16, dtype=np.int32).reshape(8, 2)
    shards = {s.device.id: s.data for s in jax.device_put(batch, sharding).global_shards}
    rows = partition.process_rows(sharding, 8, lambda device: device.id in ids)
    indices = {d.id: index for d, index in sharding.devices_indices_map((8, 2)).items()}
    blocks = partition.device_blocks(batch[rows], rows, [indices[number] for number in ids])
    for number, block in zip(ids, blocks, strict=True):
        np.testing.assert_array_equal(block, shards[number])
