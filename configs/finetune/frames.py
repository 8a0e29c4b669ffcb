"""A classifier of single frames, as surgical image models are compared; `mstcn.py` comes after it.

For image models (`--config.init=selfsupsurg:FILE`, `endovit:FILE`, `gsvit:FILE`, …). The published
runs took Adam with rates from 1e-5 to 5e-4 and 20 to 30 epochs, and shifted, scaled and turned the
frames; RandAugment does so among other things here.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("recipe.py"))
    config.clip = config.image_clip = ConfigDict({"num_frames": 1, "stride": 1, "size": 224})
    config.budget.epochs = 30.0
    config.mix.update({"erase": 0.0, "mixup": 0.0, "cutmix": 0.0, "smoothing": 0.0})
    config.head.dropout = 0.0
    config.drop_path = 0.0
    config.optim.update({"learning_rate": 1e-4, "warmup_epochs": 0.0, "weight_decay": 0.0})
    config.optim.update({"final_learning_rate": 1e-4, "layer_decay": 1.0})
    return config
