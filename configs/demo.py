"""The demonstration's student: small enough to pretrain on two cores in a minute.

It predicts plain pixels under a random mask, as the student that it may start from was trained
(`configs/pretrain/demo_student.py`), because that makes pictures soonest.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).parent / "pretrain" / "demo_student.py")
    config.budget.update({"batch_size": 16, "steps": 150})
    config.optim.update({"learning_rate": 1e-3, "final_learning_rate": 1e-5})
    config.optim.update({"reference_batch": 16, "warmup_epochs": 0.3})
    config.checkpoint.save_every = 75
    config.loop.log_every = 15
    config.figure.every = 75
    return config
