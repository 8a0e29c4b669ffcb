"""Cholec80: 7 phases, 40 operations to train on (8 of them held out to select on), 40 to test."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config(protocol: str = "usual") -> ConfigDict:
    """protocol: "usual", or "authors" for their 35 test videos, on which they also selected."""
    if protocol not in ("usual", "authors"):
        raise ValueError(protocol)
    config = run_config(Path(__file__).with_name("recipe.py"))
    if protocol == "authors":
        config.data.test = "authors/test"
        config.select_on = "test"
    return config
