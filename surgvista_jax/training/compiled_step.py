"""The training step as a program, compiled from shapes while data and parameters are brought."""

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import Mesh

from surgvista_jax.training.partition import RULES, batch_sharding
from surgvista_jax.training.state import TrainState

Shapes = Mapping[str, jax.ShapeDtypeStruct]


class CompiledStep:
    """Calls the step; a context manager, whose thread has ended behind it.

    For a batch of other shapes than those that were expected it is compiled anew, which is said.

    Args:
        step: (state, frozen, batch) -> (state, metrics), as `make_train_step` makes it.
        options: of the compiler, by name.
        check: is given the text of what was compiled ahead, and raises UserError where it does not
            do; None: nothing is looked at.
    """

    def __init__(
        self,
        step: Callable[[TrainState, Any, dict], tuple[TrainState, dict]],
        options: Mapping[str, bool | int | float | str],
        check: Callable[[str], None] | None = None,
    ):
        # The state is donated: the new one takes its place in memory.
        self._jitted = jax.jit(step, donate_argnums=0, compiler_options=dict(options) or None)
        self._check = check
        self._thread: threading.Thread | None = None
        self._compiled: jax.stages.Compiled | None = None
        self._error: BaseException | None = None
        self._keys: tuple[str, ...] = ()

    def compile_ahead(self, state: Any, frozen: Any, batch: Shapes, mesh: Mesh) -> None:
        """Begins to compile in a thread.

        Args:
            state, frozen: shapes with shardings (`state.abstract_sharded`).
            batch: shapes and types of a batch of all processes; the step sees these keys alone.
            mesh: the one that is set.
        """

        def compile_step() -> None:
            try:
                self._compiled = self._checked(self.lower(state, frozen, batch, mesh).compile())
            except BaseException as error:  # raised again by `program`
                self._error = error

        self._keys = tuple(batch)
        self._thread = threading.Thread(target=compile_step, name="compile", daemon=True)
        self._thread.start()

    def lower(self, state: Any, frozen: Any, batch: Shapes, mesh: Mesh) -> jax.stages.Lowered:
        """What the compiler is given for these shapes, see `compile_ahead`."""
        sharding = batch_sharding(mesh)
        placed = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
            for name, leaf in batch.items()
        }
        with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
            return self._jitted.lower(state, frozen, placed)

    def program(self) -> jax.stages.Compiled | None:
        """What was compiled ahead, waiting for it; None where nothing was, or it does not fit."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error
        return self._compiled

    def __call__(self, state: TrainState, frozen: Any, batch: dict) -> tuple[TrainState, dict]:
        compiled = self.program()
        if compiled is not None:
            batch = {name: batch[name] for name in self._keys}
            try:
                return compiled(state, frozen, batch)
            except (TypeError, ValueError) as error:  # not what it was compiled for; nothing ran
                print(f"WARNING: the step is compiled anew: {error}", file=sys.stderr)
            self._compiled = self._checked(self._jitted.lower(state, frozen, batch).compile())
            return self._compiled(state, frozen, batch)
        return self._jitted(state, frozen, batch)

    def _checked(self, compiled: jax.stages.Compiled) -> jax.stages.Compiled:
        if self._check is not None:
            self._check(compiled.as_text() or "")
        return compiled

    def __enter__(self) -> "CompiledStep":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._thread is not None:  # Python must not end while it compiles
            self._thread.join()
