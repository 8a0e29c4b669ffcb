"""The demonstration's model: small enough to pretrain on two cores in a minute or two."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).parent / "pretrain" / "cpu.py")
    config.budget.steps = 150
    config.checkpoint.save_every = 75
    config.loop.log_every = 15
    config.figure.every = 75
    return config
