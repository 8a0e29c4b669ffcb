"""A small student with a teacher, which a GPU pretrains in a minute: for comparing recipes.

64-pixel clips of 8 frames, 8-pixel patches, width 192, 64 clips an update. The teacher, a random
ViT-S, costs about as large a part of a step as in the published recipe; its features teach little.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("surgvista.py"), "small")
    config.budget = ConfigDict({"batch_size": 64, "epochs": None, "steps": 1000, "accumulate": 1})
    config.clip = ConfigDict({"num_frames": 8, "stride": 1, "size": 64})
    config.mask.ratio = 0.75
    config.model.patch = 8
    config.model.encoder.update({"width": 192, "depth": 6, "heads": 3, "drop_path": 0.0})
    decoder = {"width": 96, "heads": 3, "drop_path": 0.0}
    config.model.pixel_decoder = {**decoder, "depth": 2}
    config.model.feature_decoder = {**decoder, "depth": 1}
    config.teacher.transformer.update({"width": 384, "depth": 12, "heads": 6})
    config.teacher.update({"patch": 8, "weights": "random"})
    config.optim.update({"learning_rate": 1e-3, "final_learning_rate": 1e-5, "reference_batch": 64})
    config.optim.warmup_epochs = 1.0
    config.checkpoint.update({"save_every": 100000, "keep_every": 0})
    config.loop.log_every = 100
    config.figure.every = 0
    return config
