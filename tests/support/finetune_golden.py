"""The golden finetuning steps under our names, as the finetuning program builds their model."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.video_vit import EncoderConfig
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.labels import Labels
from surgvista_jax.tasks.finetuning.task import Finetuning
from surgvista_jax.weights.kinds import ClassifierConfig
from tests.support.finetune_run import make_config
from tests.support.golden import imported, part
from tests.support.places import GOLDEN

# File -> the table of names that its parameters go by.
FINETUNED = {
    "finetune_3d": "surgvista_finetuned",
    "finetune_flat": "videomae_finetuned",
    "finetune_2d": "frames_finetuned",
}


@dataclasses.dataclass
class GoldenClassifier:
    """`params` under our names, `grads` under theirs; `target` float32 [B, C], smoothed by 0.1."""

    arrays: dict[str, np.ndarray]
    table: str
    config: ClassifierConfig
    task: Finetuning
    params: dict
    grads: dict
    target: jax.Array


def load_classifier(name: str, folder: Path) -> GoldenClassifier:
    """folder: where a configuration file may be written."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = dict(file)
    settings = json.loads(str(arrays["config_json"]))
    weight = arrays["param/patch_embed.proj.weight"]
    encoder = EncoderConfig(
        TransformerConfig(
            settings["dim"],
            settings["depth"],
            settings["heads"],
            attention_bias="qkv" if settings["attention_bias"].startswith("qkv") else "qv",
        ),
        tubelet=weight.shape[2] if weight.ndim == 5 else 1,
        patch=settings["patch_size"],
        positions=settings["position"].split("_")[0],
        norm=False,
    )
    config = ClassifierConfig(encoder, settings["num_classes"])
    run = load_config(str(make_config(folder / "golden.py", folder)), FinetuneConfig)
    task = Finetuning(
        build(FinetuneConfig, run),
        BackboneConfig(encoder=encoder),
        ClipConfig(settings["num_frames"], 1, settings["image_size"]),
        Labels(tuple(map(str, range(config.classes))), "single"),
    )
    target = jax.nn.one_hot(arrays["label"], config.classes) * 0.9 + 0.1 / config.classes
    table = FINETUNED[name]
    return GoldenClassifier(
        arrays,
        table,
        config,
        task,
        imported(part(arrays, "param/"), table, config),
        part(arrays, "grad/"),
        jnp.asarray(target),
    )
