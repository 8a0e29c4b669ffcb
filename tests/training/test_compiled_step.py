"""Is the step compiled once, before its first batch, and are other batches computed too?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.training import partition
from surgvista_jax.training.compiled_step import CompiledStep
from surgvista_jax.training.state import TrainState
from tests.support.toy_run import toy_step


@pytest.fixture
def mesh():
    return partition.make_mesh(partition.MeshConfig(-1, 2, 1))


@pytest.fixture
def traced():
    """The step, and the shapes for which it was traced."""

    def step(state, frozen, batch):
        step.shapes.append(batch["x"].shape)
        return toy_step(state, frozen, batch)

    step.shapes = []
    return step


def start(mesh):
    whole = partition.replicated(mesh)
    state = TrainState(jnp.int32(0), {"w": jnp.zeros(4)}, {"m": jnp.zeros(4)})
    state, frozen = jax.device_put((state, jnp.float32(2)), whole)
    shapes = {"x": jax.ShapeDtypeStruct((8, 4), jnp.float32)}
    return state, frozen, shapes


def batch(mesh, rows=8, **more):
    return partition.to_global(mesh, {"x": np.ones((rows, 4), np.float32), **more})


def test_it_is_compiled_from_shapes_and_sees_their_keys_alone(mesh, traced):
    state, frozen, shapes = start(mesh)
    plain = jax.jit(toy_step)(state, frozen, batch(mesh))
    with jax.set_mesh(mesh), CompiledStep(traced, {}) as step:
        step.compile_ahead(*jax.tree.map(jax.typeof, (state, frozen)), shapes, mesh)
        assert step.program() is not None and traced.shapes == [(8, 4)]
        first = step(state, frozen, batch(mesh, frame=np.zeros(8, np.int32)))
        assert state.params["w"].is_deleted()  # it was donated
        assert int(first[0].step) == 1
        step(first[0], frozen, batch(mesh))
        assert step.program() is not None and traced.shapes == [(8, 4)]
    jax.tree.map(np.testing.assert_array_equal, first[1], plain[1])


def test_another_batch_than_expected_is_compiled_as_it_comes(mesh, traced):
    state, frozen, shapes = start(mesh)
    with jax.set_mesh(mesh), CompiledStep(traced, {}) as step:
        step.compile_ahead(*jax.tree.map(jax.typeof, (state, frozen)), shapes, mesh)
        state, _ = step(state, frozen, batch(mesh, rows=16))
        state, _ = step(state, frozen, batch(mesh))
    assert int(state.step) == 2 and traced.shapes == [(8, 4), (16, 4)]


def test_what_cannot_be_compiled_is_raised_where_the_step_is_taken(mesh):
    def broken(state, frozen, batch):
        raise KeyError("broken")

    state, frozen, shapes = start(mesh)
    with jax.set_mesh(mesh), CompiledStep(broken, {}) as step:
        step.compile_ahead(*jax.tree.map(jax.typeof, (state, frozen)), shapes, mesh)
        with pytest.raises(KeyError, match="broken"):
            step(state, frozen, batch(mesh))


def test_the_compiler_gets_the_options(mesh):
    with CompiledStep(toy_step, {"xla_no_such_option": True}) as step:
        with pytest.raises(RuntimeError, match="xla_no_such_option"):
            step(*start(mesh)[:2], batch(mesh))
