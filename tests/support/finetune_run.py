"""A finetuning run that takes seconds: a labelled dataset whose classes are colours, its config."""

import json
from pathlib import Path

import cv2
import numpy as np

from surgvista_jax.config import load_config
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.train import finetune

COLOURS = {"red": (40, 40, 200), "green": (40, 200, 40), "blue": (200, 40, 40)}  # BGR
CONFIG = """
from ml_collections import ConfigDict

def get_config():
    return ConfigDict({
        "seed": 1,
        "init": "random",
        "model": {"encoder": {"transformer": {"width": 32, "depth": 2, "heads": 2}, "norm": False}},
        "data": {"folder": FOLDER},
        "budget": {"batch_size": 8, "epochs": None, "steps": 8, "accumulate": 1},
        "clip": {"num_frames": 4, "stride": 1, "size": 32},
        "augment": {"randaugment": {"operations": 1}},
        "mix": {"smoothing": 0.1},
        "head": {"dropout": 0.1, "heads": 2},
        "optim": {"learning_rate": 3e-3, "final_learning_rate": 1e-4, "reference_batch": 8,
                  "warmup_epochs": 0.2, "layer_decay": 0.75},
        "adapt": {}, "lora": {"rank": 2}, "probe": {"epochs": 20, "batch_size": 16},
        "evaluation": {"every_epochs": 0.5, "batch_size": 16, "protocol": "phase-strict"},
        "compute": {"dtype": "float32"},
        "loader": {},
        "mesh": {},
        "checkpoint": {"save_every": 2, "max_to_keep": 20},
        "loop": {"log_every": 2},
    })
"""


def make_dataset(folder: Path, kind: str = "single", uniform: bool = False) -> Path:
    """Nine videos of 10 frames, or 3 if `uniform`, in colours that are the classes.

    Of kind "multi" a frame has its colour and, in even videos, the class "even" too. One frame a
    video has no label.
    """
    rng = np.random.default_rng(0)
    names, videos = list(COLOURS), []
    for number in range(9):
        source = folder / "frames" / f"video{number}"
        source.mkdir(parents=True)
        labels = []
        for frame in range(10):
            label = number % 3 if uniform else (number + frame // 4) % 3
            picture = np.full((40, 48, 3), COLOURS[names[label]], np.float64)
            picture += rng.normal(0, 10, picture.shape)
            picture = picture.clip(0, 255).astype(np.uint8)
            (source / f"{frame:06d}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
            if kind == "multi":
                labels.append((label, 3) if number % 2 == 0 else (label,))
            else:
                labels.append(label)
        if not uniform:
            labels[5] = -1
        videos.append(
            Video(source.name, f"frames/{source.name}", 1.0, 10, tuple(labels), f"patient{number}")
        )
    ids = [video.video for video in videos]
    write_dataset(
        Dataset(
            folder=folder,
            name="colours",
            task="triplet" if kind == "multi" else "phase",
            classes=(*names, "even") if kind == "multi" else tuple(names),
            label_kind=kind,
            fps=1.0,
            splits={"train": tuple(ids[:5]), "val": tuple(ids[5:7]), "test": tuple(ids[7:])},
            procedure="",
            licence="",
            citation="",
            source_format="",
            videos=tuple(videos),
        )
    )
    return folder


def make_config(path: Path, dataset: Path) -> Path:
    path.write_text(CONFIG.replace("FOLDER", repr(str(dataset))))
    return path


def run(config, workdir, *words, program=finetune) -> bool:
    """Runs in this process, on a mesh of its eight devices; words are overrides."""
    overrides = [f"--config.{word}" for word in words]
    return program(load_config(str(config), FinetuneConfig, overrides), workdir)


def predictions(workdir) -> dict:
    with np.load(workdir / "predictions.npz") as file:
        return {name: file[name] for name in file.files}


def meta(workdir) -> dict:
    return json.loads(str(predictions(workdir)["meta"]))


def result(workdir) -> dict:
    return json.loads((workdir / "result.json").read_text())
