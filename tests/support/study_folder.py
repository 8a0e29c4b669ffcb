"""The folder of a study whose runs were never run: made-up predictions of made-up operations."""

import json
from pathlib import Path

import numpy as np

from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.studies.definitions import Definition
from surgvista_jax.writing import write_json

CLASSES = ("Preparation", "Dissection", "Closing & check")
VIDEOS, SECONDS = 8, 150
DATASETS = {"near": "internal", "far_away": "external"}
# Backbone -> setting, teacher, share of frames that it says wrong.
WEIGHTS = {
    "A-teacher": ("A", True, 0.1),
    "A-plain": ("A", False, 0.3),
    "random": ("random", None, 0.6),
}


def predictions(path: Path, dataset: str, seed: int, wrong: float) -> None:
    """Writes predictions over the same truth for every backbone and seed of a dataset."""
    generator = np.random.default_rng(seed)
    start = len(dataset)  # another truth for another dataset
    label = np.concatenate([np.repeat(np.roll(range(3), start), 50) for _ in range(VIDEOS)])
    found = np.where(
        generator.random(len(label)) < wrong, generator.integers(0, 3, len(label)), label
    )
    score = generator.random((len(label), 3)) * 0.1 + np.eye(3)[found]
    write_npz(
        path,
        video=np.repeat([f"{dataset}{k:02d}" for k in range(VIDEOS)], SECONDS),
        frame=np.tile(np.arange(SECONDS), VIDEOS),
        score=score / score.sum(1, keepdims=True),
        label=label,
        meta={
            "task": "phase",
            "classes": CLASSES,
            "label_kind": "single",
            "fps": 1.0,
            "dataset": dataset,
            "mode": "linear",
            "split": "test",
            "smoothing": None,
        },
    )


def make_study(folder: Path, weights: dict | None = None, seeds: int = 2, **changes) -> Path:
    """Writes `study.json` and all cells, finished; changes are of the plan."""
    cells = []
    for name, (setting, teacher, wrong) in (weights or WEIGHTS).items():
        for dataset, group in DATASETS.items():
            for seed in range(seeds):
                place = f"{name}/{dataset}/linear/seed{seed}"
                cells.append(
                    {
                        "name": place,
                        "setting": setting,
                        "weights": name,
                        "teacher": teacher,
                        "pretraining": name if teacher is not None else None,
                        "init": None if teacher is not None else "random",
                        "dataset": dataset,
                        "task": "phase",
                        "group": group,
                        "mode": "linear",
                        "seed": seed,
                        "protocol": "phase-strict",
                        "folder": f"cells/{place}",
                        "definition": Definition({"command": place}).digest,
                    }
                )
                write_json(folder / "definitions/cells" / f"{place}.json", {"command": place})
                run = folder / "cells" / place
                run.mkdir(parents=True)
                (run / "config.json").write_text(
                    json.dumps(
                        {
                            "kind": "finetuning",
                            "mode": "linear",
                            "seed": seed,
                            "clip": {"num_frames": 8, "stride": 2, "size": 64, "sampling": "past"},
                            "image_clip": None,
                            "head": {"pool": "mean"},
                            "data": {"train": "train", "val": "val", "test": "test"},
                        }
                    )
                )
                result = {"score": "accuracy", "selected_on": "val", "step": 3, "clips": 1200}
                (run / "result.json").write_text(json.dumps(result))
                predictions(run / "predictions.npz", dataset, 10 * len(cells) + seed, wrong)
    plan = {
        "format": 1,
        "study": "made_up",
        "title": "Made-up backbones <compared>",
        "digest": "0123456789abcdef0123",
        "ours": "A-teacher",
        "ordered": False,
        "pretrainings": [
            {"name": name, "setting": "A", "teacher": teacher, "data": ["cholec80"], "seed": 0}
            for name, (_, teacher, _) in (weights or WEIGHTS).items()
            if teacher is not None
        ],
        "datasets": [
            {"name": name, "task": "phase", "group": group, "folder": f"data/{name}"}
            for name, group in DATASETS.items()
        ],
        "cells": cells,
    }
    (folder / "study.json").write_text(json.dumps(plan | changes))
    return folder
