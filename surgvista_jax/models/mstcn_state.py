"""A causal MS-TCN frame by frame: each layer remembers what its convolution looks back to."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from surgvista_jax.models.mstcn import PRECISION, MsTcnConfig

# stage<s>/layer<i> -> float32 [(kernel_size - 1) * 2**i, feature_maps], the earliest frame first.
State = dict[str, dict[str, jax.Array]]


def begin(config: MsTcnConfig) -> State:
    """The state before the first frame of a video: zeros, as offline stand before it.

    Raises:
        ValueError: the model is not causal.
    """
    if not config.causal:
        raise ValueError("causal=False: an MS-TCN that sees what comes later cannot run along")
    reach = config.kernel_size - 1
    layers = {
        f"layer{i}": jnp.zeros((reach * 2**i, config.feature_maps)) for i in range(config.layers)
    }
    return {f"stage{s}": dict(layers) for s in range(config.stages)}


def step(
    config: MsTcnConfig, params: Mapping[str, Any], state: State, features: jax.Array
) -> tuple[jax.Array, State]:
    """One frame: what `MsTcn` says of it, given the frames before it.

    Args:
        config: with `causal`.
        params: of `MsTcn`.
        state: after the frame before.
        features: float32 [F].

    Returns:
        The last stage's probabilities, float32 [C], and the state after the frame. They are those
        of the whole video but for the order in which matrix products add up: by some 1e-6.
    """
    after: State = {}
    x = features
    for name, rings in state.items():
        own = params[name]
        x = _dense(own["embedding"], x)
        after[name] = {}
        for i, (layer, ring) in enumerate(rings.items()):
            window = jnp.concatenate([ring, x[None]])
            taps = window[:: 2**i].reshape(-1)  # [kernel_size * F], the earliest frame first
            y = _dense(own[layer]["dilated"], taps)
            y = _dense(own[layer]["pointwise"], jax.nn.relu(y))
            x = x + y
            after[name][layer] = window[1:]
        x = jax.nn.softmax(_dense(own["head"], x))
    return x, after


def run(
    config: MsTcnConfig, params: Mapping[str, Any], state: State, rows: jax.Array, count: jax.Array
) -> tuple[jax.Array, State]:
    """Several frames by `step`, in a loop that is one program whatever their number.

    Args:
        config, params, state: as for `step`.
        rows: float32 [K, F], features of frames, of which the first `count` are looked at.
        count: int32 [], from 0 to K.

    Returns:
        Probabilities float32 [K, C], 0 from row `count` on, and the state after the last frame.
    """
    classes = params[f"stage{config.stages - 1}"]["head"]["bias"].shape[0]

    def one(k: jax.Array, carry: tuple[jax.Array, State]) -> tuple[jax.Array, State]:
        said, before = carry
        found, after = step(config, params, before, rows[k])
        return said.at[k].set(found), after

    return jax.lax.fori_loop(0, count, one, (jnp.zeros((len(rows), classes)), state))


def reach(config: MsTcnConfig) -> int:
    """Frames before its own that a frame can see."""
    return config.stages * (config.kernel_size - 1) * (2**config.layers - 1)


def _dense(params: Mapping[str, jax.Array], x: jax.Array) -> jax.Array:
    return jnp.dot(x, params["kernel"], precision=PRECISION) + params["bias"]
