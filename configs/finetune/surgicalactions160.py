"""SurgicalActions160: 16 actions of gynaecologic laparoscopy, 112 clips to train on, 48 to test."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    return run_config(Path(__file__).with_name("recipe.py"), "clips")
