"""Cholec80-CVS: the total score of the critical view of safety, 6 classes, of clips of Cholec80."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    return run_config(Path(__file__).with_name("recipe.py"), "clips")
