"""The demonstration's classifier of phases: a minute on two cores, from its student."""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("synthetic.py"), "phase")
    config.model = None  # what the student is
    config.data.test = ""
    config.select_on = "last"
    config.budget.steps = 80
    config.optim.warmup_epochs = 0.25
    config.evaluation.protocol = ""
    config.checkpoint.save_every = 40
    config.loop.log_every = 10
    return config
