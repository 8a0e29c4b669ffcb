"""ProstaTD (Prostate21): 89 triplets of robotic prostatectomy, 14, 2 and 5 operations."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("recipe.py"), "triplets")
    config.evaluation.update({"score": "triplet_ap_prostatd", "protocol": "prostatd"})
    return config
