"""Own videos on any device: what is left open here is chosen from the dataset and the device.

Each choice is said with its reason and stands in the run's config.json. What the command line says
stays. A teacher's weights, where there are some, make the features better:
`--config=configs/pretrain/own.py:teacher --config.teacher.weights=[NAME:]FILE`.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config(teacher: str = "none") -> ConfigDict:
    """teacher: "none", or "teacher" for a run with one."""
    if teacher not in ("none", "teacher"):
        raise ValueError(teacher)
    file = "pixels_only.py" if teacher == "none" else "surgvista.py"
    config = run_config(Path(__file__).with_name(file))
    config.choose = True
    return config
