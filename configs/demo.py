"""The demonstration's student: small enough to pretrain on two cores in a minute.

It starts from a student that ships with the package, trained on made-up operations alone
(`configs/pretrain/demo_student.py`; `--config.init=random` starts from nothing), and like that one
predicts plain pixels under a random mask, which makes pictures soonest.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config
from surgvista_jax.weights import shipped


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).parent / "pretrain" / "demo_student.py")
    config.init = str(Path(shipped.__file__).parent / "demo_student.safetensors")
    config.budget.update({"batch_size": 16, "steps": 30})
    config.optim.update({"learning_rate": 1e-3, "final_learning_rate": 1e-5})
    config.optim.update({"reference_batch": 16, "warmup_epochs": 0.1})
    config.checkpoint.save_every = 15
    config.loop.log_every = 10
    config.figure.every = 30
    return config
