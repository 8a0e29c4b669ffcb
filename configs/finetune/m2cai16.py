"""M2CAI16-workflow: 8 phases, 27 operations to train on, of which some are held out, 14 to test."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("recipe.py"))
    config.optim.learning_rate = 1e-4
    return config
