"""ESD57: 8 phases of endoscopic submucosal dissection, 39, 6 and 12 operations."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    return run_config(Path(__file__).with_name("recipe.py"))
