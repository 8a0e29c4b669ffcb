"""A student that a laptop's processor can pretrain on a few videos, without a teacher.

64-pixel clips of 8 frames, 8-pixel patches, width 96. It checks the data, the loss and the figure;
its features are worth little.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("surgvista.py"))
    config.teacher = None
    config.budget = ConfigDict({"batch_size": 16, "epochs": None, "steps": 400, "accumulate": 1})
    config.clip = ConfigDict({"num_frames": 8, "stride": 1, "size": 64})
    config.mask.ratio = 0.75
    config.model.patch = 8
    config.model.encoder.update({"width": 96, "depth": 4, "heads": 3, "drop_path": 0.0})
    config.model.pixel_decoder.update({"width": 64, "depth": 2, "heads": 2, "drop_path": 0.0})
    config.optim.update({"learning_rate": 1e-3, "final_learning_rate": 1e-5, "reference_batch": 16})
    config.optim.warmup_epochs = 1.0
    config.compute.update({"dtype": "float32", "unroll": False})  # what a processor does faster
    config.checkpoint.update({"save_every": 100, "keep_every": 0})
    config.loop.log_every = 20
    config.figure.every = 200
    return config
