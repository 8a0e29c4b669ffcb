"""SurgVISTA as published: ViT-B student, two decoders, a frozen ViT-L surgical teacher.

16 frames of 224 pixels 4 s apart, 85 % of the tubes hidden, 201 epochs over clips that end at
every second of video, 2,048 clips per update. The paper's 3.55 million frames make 1,734 updates an
epoch.
"""

from ml_collections import ConfigDict

from surgvista_jax.models.sizes import SIZES

FEATURE_DECODER = {"width": 384, "depth": 2, "heads": 6, "drop_path": 0.1}
PIXEL_DECODER = {"width": 384, "depth": 4, "heads": 6, "drop_path": 0.1}


def get_config(student: str = "base") -> ConfigDict:
    """student: "small", "base" (as published), "large" or "huge"."""
    return ConfigDict(
        {
            "seed": 0,
            "data": {"folder": "", "split": "train"},
            "budget": {"batch_size": 2048, "epochs": 201.0, "steps": None, "accumulate": 1},
            "clip": {"num_frames": 16, "stride": 4, "size": 224},
            "mask": {"kind": "tube", "ratio": 0.85, "masks_per_clip": 1},
            "model": {
                "tubelet": 2,
                "patch": 16,
                "positions": "separable",
                "class_token": False,
                "encoder": {
                    **SIZES[student],
                    "attention_bias": "qv",
                    "layer_scale": 0.0,
                    "drop_path": 0.1,
                },
                "pixel_decoder": PIXEL_DECODER,
                "feature_decoder": FEATURE_DECODER,
            },
            "teacher": {
                "transformer": {**SIZES["large"], "attention_bias": "qkv"},
                "patch": 16,
                "weights": "",
            },
            "objective": {
                "pixel_weight": 1.0,
                "feature_weight": 0.05,
                "feature_loss": "smooth_l1",
                "normalise_features": False,
            },
            "optim": {
                "learning_rate": 1.5e-4,
                "final_learning_rate": 1e-4,
                "reference_batch": 256,
                "warmup_epochs": 40.0,
                "weight_decay": 0.05,
                "beta1": 0.9,
                "beta2": 0.95,
                "epsilon": 1e-8,
            },
            # Unrolled, a GPU trains faster and in less memory, and compiles for longer.
            "compute": {"dtype": "bfloat16", "unroll": True, "remat": "none"},
            "loader": {},
            "mesh": {"data": -1, "fsdp": 1, "model": 1},
            "checkpoint": {"save_every": 1000, "max_to_keep": 2, "keep_every": 20000},
            "loop": {"log_every": 50},
            "figure": {"every": 5000, "clips": 2},
        }
    )
