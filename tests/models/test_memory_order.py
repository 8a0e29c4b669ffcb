"""Do tokens lie in a GPU's memory as its kernels read them, with nothing else changed?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from surgvista_jax.models.attention import planned_for
from surgvista_jax.models.blocks import Block
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.memory_order import row_major
from surgvista_jax.training.partition import RULES, MeshConfig, batch_sharding, make_mesh

CONFIG = TransformerConfig(width=16, depth=1, heads=2)


@pytest.mark.parametrize(("backend", "times"), [("gpu", 2), ("cpu", 0), ("tpu", 0)])
def test_a_block_holds_its_tokens_in_order_on_gpus_alone(backend, times):
    block, x = Block(CONFIG, jnp.dtype(jnp.float32)), jnp.zeros((2, 3, 16))
    params = block.init(jax.random.key(0), x, None, False)
    with planned_for(backend):
        traced = jax.make_jaxpr(lambda x: block.apply(params, x, None, True)[0])(x)
    assert str(traced).count("layout_constraint") == times


@pytest.mark.parametrize(
    "shape", [{"data": 8}, {"data": 2, "fsdp": 4}, {"fsdp": 4, "model": 2}, {"data": 1}]
)
def test_each_device_orders_its_share_of_tokens_and_gradients(shape):
    mesh = make_mesh(MeshConfig(**shape), jax.devices()[: int(np.prod(list(shape.values())))])
    x = np.arange(8 * 6.0, dtype=np.float32).reshape(8, 2, 3)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES), planned_for("gpu"):
        placed = jax.device_put(x, batch_sharding(mesh))
        squares = jax.jit(jax.grad(lambda x: (row_major(x) ** 2).sum()))
        program = squares.lower(placed).compile()
        np.testing.assert_array_equal(program(placed), 2 * x)
    assert "all-gather" not in program.as_text() and "all-to-all" not in program.as_text()


def test_a_batch_that_does_not_divide_is_left_as_it_is():
    mesh = make_mesh(MeshConfig(data=8))
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES), planned_for("gpu"):
        np.testing.assert_array_equal(jax.jit(row_major)(np.ones((3, 2))), np.ones((3, 2)))
