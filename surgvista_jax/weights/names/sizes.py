"""The sizes of the model that the names and shapes of a file imply."""

import math
import re

from surgvista_jax.errors import UserError
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.weights.names.table import Heads, Shapes
from surgvista_jax.weights.names.vit_entries import BlockNames


def depth_of(shapes: Shapes, template: str) -> int:
    """How many layers there are: "blocks.{}." -> 12. Raises UserError where there are none."""
    before, after = (re.escape(part) for part in template.split("{}"))
    pattern = re.compile(f"{before}([0-9]{{1,18}}){after}")
    found = [int(hit[1]) for hit in map(pattern.match, shapes) if hit]
    if not found:
        raise UserError(f"it has no {template.format(0)}…")
    if max(found) >= len(shapes):  # the others of so many could not all be there
        raise UserError(f"it has {template.format(max(found))}…, and {len(shapes)} arrays in all")
    return max(found) + 1


def size_of(shapes: Shapes, *places: tuple[str, int]) -> int:
    """The size of an axis, from the first of (name, axis) that is there.

    Several places are named so that one lost name is reported as missing, not as no model at all.
    """
    for name, axis in places:
        if name in shapes and len(shapes[name]) > axis:
            return shapes[name][axis]
    raise UserError(f"it has no {' or '.join(name for name, _ in places)}")


def infer_transformer(
    shapes: Shapes, heads: Heads, template: str, names: BlockNames, part: str = "encoder"
) -> TransformerConfig:
    """The sizes of a stack of blocks whose names start with `template` and the layer.

    Raises:
        UserError: there is no such stack, or its heads are not known.
    """
    depth = depth_of(shapes, template)

    def anywhere(name: str, axis: int) -> list[tuple[str, int]]:
        # Any layer will do, so that one lost name does not decide what the model is.
        return [(template.format(layer) + name, axis) for layer in range(depth)]

    width = size_of(
        shapes,
        *anywhere(f"{names.attention_norm}.weight", 0),
        *anywhere(f"{names.mlp_norm}.weight", 0),
    )
    mlp = size_of(shapes, *anywhere(f"{names.up}.bias", 0), *anywhere(f"{names.up}.weight", 0))

    def holds(parts: tuple[str, ...]) -> bool:
        return any(template.format(i) + p in shapes for i in range(depth) for p in parts)

    # What only one of the two forms has decides; a key's bias where each has its own.
    key_bias = tuple(set(names.qkv_bias) - set(names.qv_bias))
    bias = "qkv" if holds(key_bias) else "qv" if holds(names.qv_bias) else "none"
    return TransformerConfig(
        width=width,
        depth=depth,
        heads=heads(width, depth, part),
        mlp_ratio=_ratio(width, mlp),
        attention_bias=bias,
        layer_scale=1.0 if holds(names.scales) else 0.0,
    )


def _ratio(width: int, mlp: int) -> float:
    """The ratio by which `int(width * ratio)` is exactly `mlp`."""
    ratio = mlp / width
    return ratio if int(width * ratio) == mlp else math.nextafter(ratio, math.inf)
