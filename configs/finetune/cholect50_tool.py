"""CholecT50: which of 6 instruments its triplets name; recipe and operations as for triplets."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config(division: str = "challenge") -> ConfigDict:
    """division: "challenge" (40, 5 and 5 operations) or "rdv" (35, 5 and 10)."""
    config = run_config(Path(__file__).with_name("cholect50.py"), division)
    config.evaluation.update({"score": "mean_ap", "protocol": "tool-presence"})
    return config
