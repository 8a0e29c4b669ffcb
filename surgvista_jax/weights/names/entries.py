"""The correspondence of one parameter of ours with the arrays of another framework's file."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from surgvista_jax.errors import UserError

# Sizes of an array; None where any size will do.
Shape = tuple[int | None, ...]
Arrays = tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True)
class Transform:
    """A pure pair of functions between their arrays and ours, each the other's inverse.

    Attributes:
        theirs: shapes of their arrays, in the order of an entry's names.
        ours: shapes of our arrays, in the order of an entry's paths.
        to_ours: their arrays -> our arrays; may return views.
        to_theirs: our arrays -> their arrays.
    """

    theirs: tuple[Shape, ...]
    ours: tuple[Shape, ...]
    to_ours: Callable[..., Arrays]
    to_theirs: Callable[..., Arrays]


@dataclasses.dataclass(frozen=True)
class Entry:
    """Which of their names make up which of our parameters.

    Attributes:
        path: our path in the tree, "/" between its keys, relative to `params`; a path that starts
            with "batch_stats/" lies in that collection. Several where one of their arrays holds
            several of our parameters.
        names: their names; with `layers`, templates with "{}" for the layer. None: they have no
            such parameter (`zeros`).
        transform: between the arrays of one layer.
        layers: 0, or the length L of the leading axis along which our leaf stacks the layers.
    """

    path: str | tuple[str, ...]
    names: tuple[str, ...]
    transform: Transform
    layers: int = 0

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path

    def named(self, layer: int) -> tuple[str, ...]:
        """Their names of one layer (0 without layers)."""
        return tuple(name.format(layer) for name in self.names) if self.layers else self.names

    @property
    def expected(self) -> dict[str, Shape]:
        """Every name that a file must hold for this entry, and its shape."""
        layers = range(max(1, self.layers))
        shapes = self.transform.theirs
        return {k: v for i in layers for k, v in zip(self.named(i), shapes, strict=True)}

    @property
    def our_shapes(self) -> tuple[Shape, ...]:
        """The shape of each leaf of `paths`, with the axis of layers."""
        return tuple(((self.layers,) if self.layers else ()) + x for x in self.transform.ours)


def fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    """Whether an array of that shape is what was wanted."""
    sizes = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(w is None or s == w for s, w in sizes)


def same(*shape: int | None) -> Transform:
    """The array as it is."""
    return Transform((shape,), (shape,), lambda x: (x,), lambda x: (x,))


def reshaped(theirs: tuple[int, ...], ours: tuple[int, ...]) -> Transform:
    """The same numbers in the same order under another shape."""
    return Transform(
        (theirs,), (ours,), lambda x: (x.reshape(ours),), lambda x: (x.reshape(theirs),)
    )


def linear(inputs: int, outputs: int) -> Transform:
    """torch.nn.Linear's weight [outputs, inputs] <-> kernel [inputs, outputs]."""
    return Transform(((outputs, inputs),), ((inputs, outputs),), lambda x: (x.T,), lambda x: (x.T,))


def conv2d(height: int, width: int, inputs: int, outputs: int) -> Transform:
    """torch.nn.Conv2d's weight [outputs, inputs, h, w] <-> kernel [h, w, inputs, outputs].

    `inputs` are those of a group: 1 for a depthwise convolution.
    """
    return Transform(
        ((outputs, inputs, height, width),),
        ((height, width, inputs, outputs),),
        lambda x: (x.transpose(2, 3, 1, 0),),
        lambda x: (x.transpose(3, 2, 0, 1),),
    )


def zeros(*shape: int) -> Transform:
    """A parameter that they lack and that has no effect in ours while it is zero.

    `to_theirs` raises UserError where it is not zero: their file could not say so.
    """

    def to_theirs(x: np.ndarray) -> Arrays:
        if np.any(x):
            raise UserError("their model has no such parameter, so ours must be zero, and is not")
        return ()

    return Transform((), (shape,), lambda: (np.zeros(shape, np.float32),), to_theirs)


def patch_embedding(width: int, patch: int, tubelet: int, conv: int) -> Transform:
    """The weight of a convolution that embeds patches <-> kernel [P, D].

    Args:
        width: D.
        patch, tubelet: size of a token in pixels and frames.
        conv: 2 for their [D, 3, p, p] (tubelet 1), 3 for their [D, 3, t, p, p].
    """
    full = (width, 3, tubelet, patch, patch)
    theirs = full if conv == 3 else (width, 3, patch, patch)
    kernel = (tubelet * patch * patch * 3, width)

    def to_ours(x: np.ndarray) -> Arrays:
        # P is in (frame, row, column, channel) order.
        return (x.reshape(full).transpose(2, 3, 4, 1, 0).reshape(kernel),)

    def to_theirs(x: np.ndarray) -> Arrays:
        if theirs != full and tubelet > 1:
            raise UserError(f"their patches are of single frames, ours of {tubelet}")
        x = x.reshape(tubelet, patch, patch, 3, width)
        return (x.transpose(4, 3, 0, 1, 2).reshape(theirs),)

    return Transform((theirs,), (kernel,), to_ours, to_theirs)


def qkv_kernel(width: int, heads: int, fused: bool) -> Transform:
    """The weights of query, key and value, [3D, D] or three [D, D] <-> [D, 3, H, D/H]."""
    ours = (width, 3, heads, width // heads)

    def to_ours(*weights: np.ndarray) -> Arrays:
        weight = weights[0] if fused else np.concatenate(weights)  # [3D, D]
        return (weight.T.reshape(ours),)

    def to_theirs(x: np.ndarray) -> Arrays:
        weight = x.reshape(width, 3 * width).T
        return (weight,) if fused else tuple(np.split(weight, 3))

    theirs = ((3 * width, width),) if fused else ((width, width),) * 3
    return Transform(theirs, (ours,), to_ours, to_theirs)


def qkv_bias(width: int, heads: int) -> Transform:
    """One bias [3D] of query, key and value <-> three of [H, D/H]."""
    ours = (heads, width // heads)

    def to_ours(x: np.ndarray) -> Arrays:
        return tuple(x.reshape(3, *ours))

    def to_theirs(*parts: np.ndarray) -> Arrays:
        return (np.concatenate([x.reshape(-1) for x in parts]),)

    return Transform(((3 * width,),), (ours,) * 3, to_ours, to_theirs)


def attention_out(width: int, heads: int) -> Transform:
    """The weight [D, D] of the projection after attention <-> kernel [H, D/H, D]."""
    ours = (heads, width // heads, width)
    return Transform(
        ((width, width),),
        (ours,),
        lambda x: (x.T.reshape(ours),),
        lambda x: (x.reshape(width, width).T,),
    )


def positions(width: int, class_slot: bool) -> Transform:
    """A learned table [1, h*w, D] <-> [h*w, D]; with a class slot, [1, 1 + h*w, D] <-> [D] too."""
    table = (None, width)
    theirs = ((1, None, width),)
    if not class_slot:
        return Transform(theirs, (table,), lambda x: (x[0],), lambda x: (x[None],))
    return Transform(
        theirs,
        ((width,), table),
        lambda x: (x[0, 0], x[0, 1:]),
        lambda token, x: (np.concatenate([token[None], x])[None],),
    )


def square(positions: int) -> tuple[int, int]:
    """(h, w) of a table of so many positions. Raises UserError where they do not form a square."""
    side = math.isqrt(positions)
    if side * side != positions or not side:
        raise UserError(f"{positions} positions do not form a square")
    return side, side


def token(width: int) -> Transform:
    """A class or mask token [1, 1, D] <-> [D]."""
    return reshaped((1, 1, width), (width,))
