"""AutoLaparo: 7 phases of hysterectomy, 10 operations to train on, 4 to select on, 7 to test."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    return run_config(Path(__file__).with_name("recipe.py"))
