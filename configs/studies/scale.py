"""Growing amounts of pretraining data, settings A to E, each finetuned on the datasets.

`configs/pretrain/settings.py` says what each setting sees: with a teacher
(`--config.teacher=endossl:FILE`), as published, or without (`--config.teacher=none`). The datasets
are those that `surgvista data convert` made below `--config.root`. The published runs take 201
epochs; `--config.epochs` takes fewer.
"""

from ml_collections import ConfigDict

from surgvista_jax.errors import UserError
from surgvista_jax.studies.benchmark import DATASETS, dataset
from surgvista_jax.studies.cells import Backbone, Cell, Pretraining, grid


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "root": "data",
            "settings": "A,B,C,D,E",
            "teacher": "",
            "epochs": 201.0,
            "datasets": ",".join(DATASETS),
            "modes": "full",
            "seeds": 3,
            "ours": "",
            "ordered": True,  # each setting is tested against the one before it
        }
    )


def study(config: ConfigDict) -> list[Cell]:
    if not config.teacher:
        raise UserError("config.teacher is empty: say --config.teacher=[NAME:]FILE, or =none")
    alone = config.teacher == "none"
    changes = {"teacher": None} if alone else {"teacher.weights": config.teacher}
    backbones = [
        Backbone(
            name=f"setting-{setting}",
            setting=setting,
            start=Pretraining(
                name=f"setting-{setting}",
                config=f"configs/pretrain/settings.py:{setting}",
                changes={"data.root": config.root, "budget.epochs": config.epochs, **changes},
                teacher=not alone,
            ),
        )
        for setting in config.settings.split(",")
    ]
    datasets = [dataset(name, config.root) for name in config.datasets.split(",")]
    return grid(backbones, datasets, config.modes.split(","), config.seeds)
