"""The ablation without a teacher: a video masked autoencoder, as the method's authors trained it.

Mask ratio 0.9, one decoder, no drop path, 768 clips per update, 401 epochs.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config(student: str = "base") -> ConfigDict:
    """student: "small", "base" (as published), "large" or "huge"."""
    config = run_config(Path(__file__).with_name("surgvista.py"), student)
    config.teacher = None
    config.mask.ratio = 0.9
    config.model.encoder.drop_path = 0.0
    config.model.pixel_decoder.drop_path = 0.0
    config.budget.batch_size = 768
    config.budget.epochs = 401.0
    config.optim.final_learning_rate = 1e-5
    return config
