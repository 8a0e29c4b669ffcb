"""Cholec80 by a linear probe of frozen features."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config(protocol: str = "usual") -> ConfigDict:
    """protocol: "usual", or "authors" for their 35 test videos, on which they also selected."""
    config = run_config(Path(__file__).parents[1] / "finetune" / "cholec80.py", protocol)
    config.mode = "linear"
    return config
