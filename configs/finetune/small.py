"""A ViT-S, the largest student that makes sense on a processor, on phases by the published recipe.

Give it a small student as `init`: one of `configs/pretrain/surgvista.py:small`, or random.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config
from surgvista_jax.models.sizes import SIZES


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("recipe.py"))
    with config.unlocked():
        config.model = {"encoder": {"transformer": {**SIZES["small"], "attention_bias": "qv"}}}
    # A processor is no faster unrolled, and a little slower in bfloat16, which it has to widen.
    config.compute.update({"unroll": False, "dtype": "float32"})
    return config
