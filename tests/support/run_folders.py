"""Run folders of every kind with random parameters, as their programs write them, untrained."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from surgvista_jax.config import build, load_config
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.start import starting_point
from surgvista_jax.tasks.finetuning.task import make_finetuning
from surgvista_jax.tasks.outcome import description
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.training.checkpoint import save_params
from surgvista_jax.training.run_files import CONFIG, KIND
from surgvista_jax.weights.provenance import as_json, of_dataset
from tests.support import finetune_run, tiny_run

CLASSES = ("red", "green", "blue")


def pretrained(folder: Path, *words: str, teacher: str = "random") -> dict:
    """Writes a pretraining run of one checkpoint; returns its parameters.

    Args:
        folder: the run's, which is made.
        words: overrides, such as "model.positions=flat".
        teacher: "random", or "none".
    """
    text = tiny_run.CONFIG.replace("random", teacher, 1)
    values = _configured(folder, text, PretrainConfig, words)
    task = make_pretraining(build(PretrainConfig, values))
    params = _random(jax.eval_shape(task.init_trained))
    _write(folder, "pretraining", values, folder / "checkpoints", params, {"seed": 3})
    return params


def finetuned(folder: Path, mode: str, *words: str) -> dict:
    """Writes a finetuning run of a ViT that chose a checkpoint; returns its parameters.

    Args:
        folder: the run's, which is made.
        mode: "full", "linear", "attentive" or "lora".
        words: further overrides.
    """
    text = finetune_run.CONFIG.replace('"norm": False', '"norm": True')
    text = text.replace('"depth": 2,', '"depth": 2, "attention_bias": "qv",')
    values = _configured(folder, text, FinetuneConfig, (f"mode={mode}", *words))
    config = build(FinetuneConfig, values)
    start = starting_point(config)
    empty = dict.fromkeys(("procedure", "licence", "citation", "source_format"), "")
    dataset = Dataset(folder, "colours", "phase", CLASSES, "single", 1.0, {}, **empty, videos=())
    task = make_finetuning(config, start.model, start.clip, dataset, np.zeros(1, int))
    shapes = jax.eval_shape(lambda: task.whole(*_unboxed(task.init_trained(), task.init_frozen())))
    params = _random(shapes)
    about = description(
        config,
        dataset,
        name=f"{mode} finetuning",
        model=dataclasses.asdict(task.model),
        head=dataclasses.asdict(config.head),
        clip=dataclasses.asdict(task.clip),
        sources=as_json([of_dataset(dataset)]),
    )
    _write(folder, "finetuning", values, folder / "best", params, about)
    return params


def temporal(folder: Path) -> None:
    """Writes what says of a folder that an MS-TCN was trained in it."""
    folder.mkdir()
    (folder / CONFIG).write_text(json.dumps({KIND: "temporal", "mode": "temporal"}))


def _configured(folder: Path, text: str, cls: type, words: tuple[str, ...]) -> Any:
    folder.mkdir()
    file = folder / "config.py"
    file.write_text(text.replace("FOLDER", repr("")))
    values = load_config(str(file), cls, [f"--config.{word}" for word in words])
    file.unlink()
    return values


def _write(
    folder: Path, kind: str, config: Any, checkpoints: Path, params: dict, meta: dict
) -> None:
    (folder / CONFIG).write_text(json.dumps({KIND: kind, **config.to_dict()}))
    save_params(checkpoints if kind == "finetuning" else folder, 1, params, meta)


def _unboxed(*trees: Any) -> Any:
    return nn.unbox(trees)


def _random(shapes: Any) -> dict:
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape, np.float32), nn.unbox(shapes))
