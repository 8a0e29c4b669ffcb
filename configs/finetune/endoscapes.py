"""Endoscapes: the critical view of safety in frames, how many criteria or which of the three.

The published stride of 4 counts rated frames, which lie 5 s apart: 20 frames at 1 a second.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config(form: str = "count") -> ConfigDict:
    """form: "count" for the dataset endoscapes-count, "criteria" for endoscapes."""
    if form not in ("count", "criteria"):
        raise ValueError(form)
    config = run_config(Path(__file__).with_name("recipe.py"))
    config.budget.update({"batch_size": 32, "epochs": 20.0})
    config.clip.update({"num_frames": 8, "stride": 20})
    config.image_clip.stride = 20
    config.optim.update({"learning_rate": 5e-5, "warmup_epochs": 2.0})
    config.evaluation.protocol = "surgvista-clips"
    if form == "criteria":
        config.mix.update({"mixup": 0.0, "cutmix": 0.0, "smoothing": 0.0})
        config.evaluation.update({"score": "mean_ap", "protocol": "endoscapes-cvs201"})
    return config
