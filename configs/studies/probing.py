"""All backbones of the comparison by linear and attentive probe: what frozen features know.

As `comparison.py`, whose keys it has; `--config.modes=linear,attentive,temporal` adds an MS-TCN on
the same backbone's features.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config
from surgvista_jax.config.code import run_file
from surgvista_jax.studies.cells import Cell

_COMPARISON = Path(__file__).with_name("comparison.py")


def get_config() -> ConfigDict:
    config = run_config(_COMPARISON)
    config.modes = "linear,attentive"
    return config


def study(config: ConfigDict) -> list[Cell]:
    return run_file(_COMPARISON, str(_COMPARISON)).study(config)
