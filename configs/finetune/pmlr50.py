"""PmLR50: 5 phases of liver resection; the frames of an image model are 4 s apart."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("recipe.py"))
    config.image_clip.stride = 4
    return config
