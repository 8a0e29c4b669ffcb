"""Cataract-21: 11 phases of cataract surgery, 17 operations to train on, 4 to test."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    return run_config(Path(__file__).with_name("recipe.py"))
