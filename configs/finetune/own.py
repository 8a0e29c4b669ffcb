"""Own labels on any device: what is left open here is chosen from the dataset and the device.

Each choice is said with its reason and stands in the run's config.json. What the command line says
stays, such as `--config.init=WEIGHTS`.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("recipe.py"))
    config.choose = True
    return config
