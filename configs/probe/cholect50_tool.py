"""Instruments in CholecT50 by a linear probe of frozen features."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config(division: str = "challenge") -> ConfigDict:
    """division: "challenge" (40, 5 and 5 operations) or "rdv" (35, 5 and 10)."""
    config = run_config(Path(__file__).parents[1] / "finetune" / "cholect50_tool.py", division)
    config.mode = "linear"
    return config
