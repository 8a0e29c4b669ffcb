"""A small model on made-up operations (`surgvista data synthetic`): minutes on a processor.

It checks the whole chain from labels to a report. 4 frames of 64 pixels, 8-pixel patches and
the encoder of `configs/pretrain/cpu.py`: `--config.init=RUN` starts from such a run.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config
from surgvista_jax.facts.tasks import TASKS


def get_config(task: str = "phase") -> ConfigDict:
    """task: "phase", "action", "triplet", "cvs" or "tool"."""
    config = run_config(Path(__file__).with_name("recipe.py"))
    config.evaluation.update({"score": TASKS[task].score, "protocol": TASKS[task].protocol})
    config.evaluation.update({"batch_size": 32, "every_epochs": 2.0})
    config.init = "random"
    config.model = {
        "encoder": {
            "transformer": {"width": 96, "depth": 4, "heads": 3, "attention_bias": "qv"},
            "patch": 8,
            "norm": False,
        }
    }
    config.clip = ConfigDict({"num_frames": 4, "stride": 2, "size": 64})
    config.image_clip = None
    config.drop_path = 0.0
    config.head.dropout = 0.0
    config.augment = {"randaugment": {"operations": 0}, "flip": 0.0}
    config.mix = {"erase": 0.0, "mixup": 0.0, "cutmix": 0.0, "smoothing": 0.0}
    config.budget.update({"batch_size": 32, "epochs": None, "steps": 1500})
    config.optim.update({"learning_rate": 1.5e-3, "reference_batch": 32, "warmup_epochs": 0.5})
    config.optim.layer_decay = 1.0
    config.compute.update({"dtype": "float32", "unroll": False})
    config.checkpoint.save_every = 200
    config.loop.log_every = 25
    if task == "action":
        config.clip.sampling = "uniform"
        config.budget.steps = 1000
        config.evaluation.every_epochs = 10.0
    return config
