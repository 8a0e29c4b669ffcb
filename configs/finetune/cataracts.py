"""CATARACTS: 19 steps of cataract surgery, 25, 5 and 20 operations."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    return run_config(Path(__file__).with_name("recipe.py"))
