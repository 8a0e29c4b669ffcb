"""Natural and surgical pretraining against SurgVISTA on 13 datasets, from files of weights.

Every file that is given is compared, and random weights: `--config.weights.mvd=FILE` for each.
Datasets are those that `surgvista data convert` made below `--config.root`;
`--config.datasets=cholec80,autolaparo` takes a few. Video models see clips, and image models 8
frames of as many tokens. Where SurgVISTA's file is given, tests ask whether it is better than each
other; else there are none, unless `--config.ours` names the weights of which that is asked.
"""

from ml_collections import ConfigDict

from surgvista_jax.studies.benchmark import DATASETS, dataset
from surgvista_jax.studies.cells import RANDOM, Backbone, Cell, grid

# Name in the table of weights -> what the plan takes its backbone for.
WEIGHTS = {
    "surgvista": "base",
    "videomae": "base",
    "videomae2": "base",
    "internvideo": "base",
    "umt": "base",
    "mvd": "base",
    "mae": "base",
    "dino": "base",
    "augreg": "base",
    "endossl": "large",
    "endovit": "base",
    "selfsupsurg": "resnet50",
    "gsvit": "efficientvit_m5",
    "resnet50": "resnet50",
}
OURS = "surgvista"


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "root": "data",
            "datasets": ",".join(DATASETS),
            "weights": dict.fromkeys(WEIGHTS, ""),
            "random": True,
            "modes": "full",
            "seeds": 3,
            "ours": OURS,
        }
    )


def study(config: ConfigDict) -> list[Cell]:
    given = {name: file for name, file in config.weights.items() if file}
    backbones = [
        Backbone(name=name, start=f"{name}:{given[name]}", size=size)
        for name, size in WEIGHTS.items()
        if name in given
    ]
    if config.random:
        backbones.append(Backbone(name=RANDOM, start=RANDOM))
    if config.ours == OURS and OURS not in given:
        config.ours = ""
    datasets = [dataset(name, config.root) for name in config.datasets.split(",")]
    return grid(backbones, datasets, config.modes.split(","), config.seeds)
