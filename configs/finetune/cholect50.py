"""CholecT50: 100 triplets of instrument, verb and target."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config(division: str = "challenge") -> ConfigDict:
    """division: "challenge" (40, 5 and 5 operations) or "rdv" (35, 5 and 10)."""
    if division not in ("challenge", "rdv"):
        raise ValueError(division)
    config = run_config(Path(__file__).with_name("recipe.py"), "triplets")
    config.evaluation.update({"score": "triplet_ap_cholect50", "protocol": "cholect50-surgvista"})
    if division == "rdv":
        config.data.update({"train": "rdv/train", "val": "rdv/val", "test": "rdv/test"})
    return config
