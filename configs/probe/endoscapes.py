"""Endoscapes by a linear probe of frozen features."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config(form: str = "count") -> ConfigDict:
    """form: "count" for the dataset endoscapes-count, "criteria" for endoscapes."""
    config = run_config(Path(__file__).parents[1] / "finetune" / "endoscapes.py", form)
    config.mode = "linear"
    return config
