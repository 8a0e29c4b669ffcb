"""Instruments in Cholec80 by a linear probe of frozen features."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).parents[1] / "finetune" / "cholec80_tool.py")
    config.mode = "linear"
    return config
