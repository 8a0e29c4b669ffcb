"""Cholec80: which of 7 instruments are in the picture; the operations are those of its phases.

Not published of the method: the recipe is the published one of several labels a frame.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("recipe.py"), "triplets")
    config.evaluation.update({"score": "mean_ap", "protocol": "cholec80-tool"})
    return config
