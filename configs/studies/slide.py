"""Clips that slide over frames that were decoded once: what it saves in work, and costs in scores.

A student for each way of `--config.ways`, SLIDE or SLIDExMASKS, all with equally many clips, probed
by a linear layer (`surgvista bench slide` compares them in equal time, too). Without a teacher, as
the share of its work that sliding saves is another question.
"""

from ml_collections import ConfigDict

from surgvista_jax.errors import UserError
from surgvista_jax.studies.benchmark import DATASETS, dataset
from surgvista_jax.studies.cells import Backbone, Cell, Pretraining, grid


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "root": "data",
            "setting": "D",
            "ways": "1,8,8x4",
            "epochs": 201.0,
            "datasets": ",".join(DATASETS),
            "modes": "linear",
            "seeds": 3,
            "ours": "slide1",
        }
    )


def _changes(way: str) -> dict[str, int]:
    slide, _, masks = way.partition("x")
    if not (slide.isdecimal() and (masks or "1").isdecimal()):
        raise UserError(f"config.ways={way!r}: should be SLIDE or SLIDExMASKS, such as 8 or 8x4")
    return {"clip.slide": int(slide), "mask.masks_per_clip": int(masks or 1)}


def study(config: ConfigDict) -> list[Cell]:
    both = {"data.root": config.root, "budget.epochs": config.epochs, "teacher": None}
    backbones = [
        Backbone(
            name=f"slide{way}",
            start=Pretraining(
                name=f"slide{way}",
                config=f"configs/pretrain/settings.py:{config.setting}",
                changes={**both, **_changes(way)},
                teacher=False,
            ),
        )
        for way in config.ways.split(",")
    ]
    datasets = [dataset(name, config.root) for name in config.datasets.split(",")]
    return grid(backbones, datasets, config.modes.split(","), config.seeds)
