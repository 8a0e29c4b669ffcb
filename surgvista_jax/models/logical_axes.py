"""Names of the axes of parameters, by which devices share them out."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax


def with_axes(init: Callable[..., jax.Array], axes: tuple[str | None, ...]) -> Callable[..., Any]:
    """`init` for a parameter with these names of axes; `Module.param` gives the bare array."""
    return nn.with_logical_partitioning(init, axes)
