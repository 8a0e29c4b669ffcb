"""The demonstration's classifier of phases: a minute on two cores, from its student.

Clips of two frames, the fewest that a token spans: half the computing of four, for twice as many.
It told 71 % of the moments of the three operations that the demonstration predicts (51, 82 and
80 %), and 81 % of those of seven others.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("synthetic.py"), "phase")
    config.model = None  # what the student is
    config.clip.num_frames = 2
    config.data.test = ""
    config.select_on = "last"
    config.budget.update({"batch_size": 16, "steps": 800})
    config.optim.update({"learning_rate": 1.2e-3, "reference_batch": 16, "warmup_epochs": 0.3})
    config.evaluation.protocol = ""
    config.checkpoint.save_every = 400
    config.loop.log_every = 80
    return config
