"""Is all that a program exchanges found: of which kind, along which axes, how much, how often?"""

import math

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from surgvista_jax.errors import UserError
from surgvista_jax.training.collectives import (
    Collective,
    _first_group,
    collectives,
    partitioned,
)
from surgvista_jax.training.interconnects import INTERCONNECTS, interconnect, seconds
from surgvista_jax.training.partition import MeshConfig, make_mesh

AXES = ("data", "fsdp", "model")


def program(x):
    """Exchanges that are asked for one by one; x: float32 [4, 8], on each device alike."""

    def add(total, _):
        return jax.lax.psum(total, "data") / 2, None

    total, _ = jax.lax.scan(add, x, None, length=5)
    gathered = jax.lax.all_gather(total.astype(jnp.bfloat16), "fsdp", axis=0, tiled=True)
    scattered = jax.lax.psum_scatter(gathered, "model", scatter_dimension=1, tiled=True)
    both = jax.lax.psum(scattered.astype(jnp.float32), ("data", "model"))
    turned = jax.lax.all_to_all(both, "fsdp", split_axis=0, concat_axis=1, tiled=True)
    return jax.lax.ppermute(turned, "model", [(0, 1), (1, 0)])


def test_each_exchange_is_found_and_counted_as_often_as_its_loop_goes_round():
    mesh = make_mesh(MeshConfig(2, 2, 2))
    mapped = jax.shard_map(program, mesh=mesh, in_specs=P(), out_specs=P(AXES), check_vma=False)
    x = jax.ShapeDtypeStruct((4, 8), jnp.float32, sharding=NamedSharding(mesh, P()))
    found = collectives(partitioned(jax.jit(mapped).lower(x)), dict(mesh.shape))
    assert set(found) == {
        Collective("all-reduce", ("data",), 2, "f32", 5, 5 * 4 * 8 * 4),
        Collective("all-gather", ("fsdp",), 2, "bf16", 1, 8 * 8 * 2),
        Collective("reduce-scatter", ("model",), 2, "bf16", 1, 8 * 8 * 2),
        Collective("all-reduce", ("data", "model"), 4, "f32", 1, 8 * 4 * 4),
        Collective("all-to-all", ("fsdp",), 2, "f32", 1, 4 * 8 * 4),
        Collective("collective-permute", ("model",), 2, "f32", 1, 4 * 8 * 4),
    }
    assert found == sorted(found, key=lambda one: -one.sent)


def test_a_program_of_one_device_exchanges_nothing():
    lowered = jax.jit(lambda x: x + 1).lower(jax.ShapeDtypeStruct((2,), jnp.float32))
    assert collectives(partitioned(lowered), dict.fromkeys(AXES, 1)) == []


@pytest.mark.parametrize(
    ("words", "group"),
    [
        ("replica_groups=[4,2]<=[8], use_global_device_ids=true", [0, 1]),
        ("replica_groups=[2,4]<=[4,2]T(1,0), to_apply=%add", [0, 2, 4, 6]),
        ("replica_groups={{0,2},{1,3}}, to_apply=%add", [0, 2]),
        ("replica_groups={}, to_apply=%add", [*range(8)]),
        ("source_target_pairs={{0,4},{4,0}}", [0, 4]),
        ("replica_groups=mesh['a'=4,'b'=2] {'b'}, x", [0, 1]),
        ("replica_groups=mesh['a'=2,'b'=4], device_ids=([4,2]T(1,0)) {'b'}, x", [0, 2, 4, 6]),
        ("replica_groups=mesh['a'=2,'b'=4] {'a', 'b'}, x", [*range(8)]),
    ],
)
def test_groups_are_read_in_every_notation(words, group):
    assert _first_group(f"%x), {words}", 8) == group


def test_what_is_not_known_is_an_error_and_no_number():
    with pytest.raises(ValueError, match="not known here"):
        _first_group("%x), replica_groups=mesh['a'=8] {'a':(1)2}, x", 8)
    body = "%r = f32[2]{0} all-reduce(%p), replica_groups=[1,2]<=[2]"
    loop = (
        "%c (p: s32[]) -> pred[] {\n  %a = s32[] constant(1)\n  %b = s32[] constant(2)\n}\n"
        f"%b (p: f32[2]) -> f32[2] {{\n  {body}\n}}\n"
        "ENTRY %e (p: f32[2]) -> f32[2] {\n  %w = f32[2] while(%p), condition=%c, body=%b\n}\n"
    )
    with pytest.raises(ValueError, match="how often"):
        collectives(loop, {"data": 2})


def test_a_group_over_several_machines_sends_its_part_alone_over_the_network():
    mesh, size = {"data": 16, "fsdp": 8, "model": 1}, 8 * 10**9
    links = INTERCONNECTS["h100"]

    def took(kind, *axes):
        group = math.prod(mesh[axis] for axis in axes)
        return seconds(Collective(kind, axes, group, "bf16", 1, size), mesh, links)

    near, far = links.inside, links.between
    assert took("all-gather", "fsdp") == pytest.approx(size * 7 / 8 / near)
    assert took("all-reduce", "data") == pytest.approx(2 * size * 15 / 16 / far)
    both = size * 7 / 8 / near + size / 8 * 15 / 16 / far
    assert took("all-gather", "data", "fsdp") == pytest.approx(both)
    assert took("all-reduce", "data", "fsdp") == pytest.approx(2 * both)


def test_links_that_are_not_known_are_one_line():
    with pytest.raises(UserError, match="rtx4090: how they are connected is not known"):
        interconnect("rtx4090")
    mesh = {"data": 512, "fsdp": 1, "model": 1}
    one = Collective("all-reduce", ("data",), 512, "bf16", 1, 1)
    with pytest.raises(UserError, match="the network between those is not known here"):
        seconds(one, mesh, INTERCONNECTS["v6e"])
    assert seconds(one, mesh, INTERCONNECTS["v5p"]) > 0
