"""What finetuning on all datasets has in common, as published: a ViT-B on phases.

64 clips an update, AdamW with layer decay 0.75, RandAugment, mixup, cutmix, label smoothing. A
video model sees 16 frames 4 s apart, an image model 8 frames 8 s apart, which are as many tokens.
"""

from ml_collections import ConfigDict


def get_config(kind: str = "phases") -> ConfigDict:
    """kind: "phases", "triplets" or "clips"."""
    return {"phases": phases, "triplets": triplets, "clips": clips}[kind]()


def phases() -> ConfigDict:
    return ConfigDict(
        {
            "seed": 0,
            "seeds": 1,
            "init": "",
            "mode": "full",
            "data": {"folder": ""},
            "budget": {"batch_size": 64, "epochs": 50.0, "steps": None, "accumulate": 1},
            "clip": {"num_frames": 16, "stride": 4, "size": 224},
            "image_clip": {"num_frames": 8, "stride": 8, "size": 224},
            "augment": {},
            "mix": {"erase": 0.25, "mixup": 0.8, "cutmix": 1.0, "switch": 0.5, "smoothing": 0.1},
            "head": {"pool": "mean", "dropout": 0.5},
            "drop_path": 0.1,
            "optim": {
                "learning_rate": 5e-4,
                "final_learning_rate": 1e-6,
                "reference_batch": 64,
                "warmup_epochs": 5.0,
                "weight_decay": 0.05,
                "beta1": 0.9,
                "beta2": 0.999,
                "layer_decay": 0.75,
            },
            "adapt": {},
            "lora": {},
            "probe": {},
            "evaluation": {"score": "accuracy", "protocol": "surgvista-image-level"},
            # Unrolled, a GPU trains faster and in less memory, and compiles for longer.
            "compute": {"dtype": "bfloat16", "unroll": True, "remat": "none"},
            "loader": {},
            "mesh": {},
            "checkpoint": {"save_every": 500, "max_to_keep": 2},
            "loop": {"log_every": 50},
        }
    )


def triplets() -> ConfigDict:
    """Several labels a frame: binary losses, and nothing that mixes clips."""
    config = phases()
    config.budget.epochs = 20.0
    config.mix.update({"mixup": 0.0, "cutmix": 0.0, "smoothing": 0.0})
    return config


def clips() -> ConfigDict:
    """Short clips with one label each: frames from the whole clip, many passes."""
    config = phases()
    config.budget.epochs = 500.0
    config.optim.warmup_epochs = 50.0
    config.clip.sampling = config.image_clip.sampling = "uniform"
    config.evaluation.update({"every_epochs": 10.0, "protocol": "surgvista-clips"})
    return config
