"""The student that ships with the package, which `surgvista demo` starts from.

About 20 minutes of one processor core, on made-up operations alone; what ships is its step 750
(`--config.loop.stop_after=750`, five minutes):

    surgvista data synthetic --task phase --videos 48 --frames 120 --fps 5 --size 96 --out SYNTHETIC
    surgvista pretrain --config=configs/pretrain/demo_student.py --workdir=STUDENT \
        --config.data.folder=SYNTHETIC

Plain pixels and a random mask, which lets a hidden place be seen at another time, make pictures as
early as that; the published recipe, normalised pixels under tubes, makes features. The rate ends
high: the demonstration goes on and lets it fall.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config


def get_config() -> ConfigDict:
    config = run_config(Path(__file__).with_name("cpu.py"))
    config.objective = {"pixels": "plain"}
    config.mask.kind = "random"
    config.model.pixel_decoder.update({"width": 96, "heads": 3})
    config.budget.update({"batch_size": 8, "steps": 4000})
    config.optim.update({"learning_rate": 1.5e-3, "final_learning_rate": 5e-4})
    config.optim.update({"reference_batch": 8, "warmup_epochs": 0.3})
    config.checkpoint.save_every = 250
    config.loop.log_every = 50
    config.figure.every = 500
    return config
