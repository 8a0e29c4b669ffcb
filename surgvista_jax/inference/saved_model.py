"""A model as a SavedModel: a folder that TensorFlow runs, parameters beside the graph.

By jax2tf, which comes with JAX and puts the StableHLO of `jax.export` into one operation:
https://github.com/jax-ml/jax/tree/main/jax/experimental/jax2tf
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np


def write_saved_model(
    function: Callable[[Any, Any], tuple[jax.Array, ...]],
    params: Any,
    shape: Sequence[int | None],
    names: Sequence[str],
    platforms: Sequence[str],
    folder: Path,
) -> None:
    """Writes a function of clips, with one signature, `serving_default`.

    Args:
        function: (params, uint8 video) -> an array for each name.
        params: a tree of dicts of NumPy arrays; they become variables.
        shape: of the input `video`; None for its batch, which is free.
        names: of the outputs.
        platforms: that it will run on.
        folder: to be filled.
    """
    tf = importlib.import_module("tensorflow")
    jax2tf = importlib.import_module("jax.experimental.jax2tf")
    run = jax2tf.convert(
        function,
        polymorphic_shapes=[None, "(batch, ...)"],
        with_gradient=False,
        native_serialization_platforms=tuple(platforms),
    )
    variables = jax.tree.map(lambda leaf: tf.Variable(leaf, trainable=False), params)

    def answer(video: Any) -> dict[str, Any]:
        return dict(zip(names, run(variables, video), strict=True))

    module = tf.Module()
    module.parameters = jax.tree.leaves(variables)  # are saved because they hang on it
    module.answer = tf.function(
        answer, autograph=False, input_signature=[tf.TensorSpec(shape, tf.uint8, "video")]
    )
    tf.saved_model.save(module, str(folder), signatures=module.answer)


def run_saved_model(folder: Path, video: np.ndarray, names: Sequence[str]) -> list[np.ndarray]:
    """What TensorFlow computes of a folder and uint8 video [B, T, H, W, 3], for each name."""
    tf = importlib.import_module("tensorflow")
    found = tf.saved_model.load(str(folder)).signatures["serving_default"](video=video)
    return [found[name].numpy() for name in names]
