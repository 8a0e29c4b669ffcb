"""The golden MS-TCNs under our names."""

import json

import numpy as np

from surgvista_jax.models.mstcn import MsTcnConfig
from tests.support.places import GOLDEN


def load(name: str) -> tuple[dict[str, np.ndarray], MsTcnConfig, dict]:
    """The arrays of a file, its configuration, and its parameters as a tree of ours."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = dict(file)
    sizes = json.loads(str(arrays["config_json"]))
    config = MsTcnConfig(
        **{key: sizes[key] for key in ("stages", "layers", "feature_maps", "causal", "kernel_size")}
    )

    def dense(theirs: str) -> dict:
        weight = arrays[f"param/{theirs}.weight"]  # [out, in, kernel]
        kernel = weight.transpose(2, 1, 0).reshape(-1, weight.shape[0])
        return {"kernel": kernel, "bias": arrays[f"param/{theirs}.bias"]}

    def stage(theirs: str) -> dict:
        layers = {
            f"layer{i}": {
                "dilated": dense(f"{theirs}.layers.{i}.conv_dilated"),
                "pointwise": dense(f"{theirs}.layers.{i}.conv_1x1"),
            }
            for i in range(config.layers)
        }
        ends = {"embedding": "conv_1x1", "head": "conv_out_classes"}
        return layers | {ours: dense(f"{theirs}.{name}") for ours, name in ends.items()}

    names = ["stage1", *(f"stages.{i}" for i in range(config.stages - 1))]
    return arrays, config, {f"stage{i}": stage(name) for i, name in enumerate(names)}
