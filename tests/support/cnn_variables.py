"""Variables of a CNN in which nothing is one or zero, as fresh norms and statistics are."""

import jax
import numpy as np


def unboxed(tree):
    """The tree without the boxes that carry the names of the axes."""
    return jax.tree.map(
        lambda box: box.unbox() if hasattr(box, "unbox") else box,
        tree,
        is_leaf=lambda leaf: hasattr(leaf, "unbox"),
    )


def random_variables(module, *args, seed: int = 0) -> dict:
    """What `module.init` gives for the arguments, filled at random and as float32."""
    shapes = unboxed(jax.eval_shape(lambda: module.init(jax.random.key(0), *args)))
    rng = np.random.default_rng(seed)

    def fill(path, leaf):
        if path[-1].key == "scale":
            # Below one, because what residual branches add would double it with every branch.
            return rng.uniform(0.3, 0.9, leaf.shape).astype(np.float32)
        if path[-1].key == "var":
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        deviation = np.prod(leaf.shape[:-1]) ** -0.5 if leaf.ndim > 1 else 0.5
        return rng.normal(0, deviation, leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(fill, shapes)
