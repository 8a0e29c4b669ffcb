"""Configurations: a file of code or of data, overrides, and a dataclass for each part."""

from surgvista_jax.config.code import find_config, run_config, variant
from surgvista_jax.config.load import load_config, told_keys, with_defaults
from surgvista_jax.config.parts import build, filled_by_options

__all__ = [
    "build",
    "filled_by_options",
    "find_config",
    "load_config",
    "run_config",
    "told_keys",
    "variant",
    "with_defaults",
]
