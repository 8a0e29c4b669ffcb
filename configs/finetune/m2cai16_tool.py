"""M2CAI16-tool: which of 7 instruments are in the picture; 10 operations to train on, 5 to test.

Not published of the method: the recipe is the published one of several labels a frame.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("recipe.py"), "triplets")
    config.evaluation.update({"score": "mean_ap", "protocol": "tool-presence"})
    return config
