"""With and without a teacher, for each setting of pretraining data, finetuned on the datasets.

As published, the student without a teacher has another recipe: mask ratio 0.9, 768 clips an update,
no drop path, 401 epochs (`--config.alone=published`). `--config.alone=same` changes nothing but the
teacher, which is the cleaner comparison and the default. Name the teacher's weights by
`--config.teacher=endossl:FILE`.
"""

from ml_collections import ConfigDict

from surgvista_jax.errors import UserError
from surgvista_jax.studies.benchmark import DATASETS, dataset
from surgvista_jax.studies.cells import Backbone, Cell, Pretraining, grid

_PUBLISHED = {  # configs/pretrain/pixels_only.py
    "mask.ratio": 0.9,
    "model.encoder.drop_path": 0.0,
    "model.pixel_decoder.drop_path": 0.0,
    "budget.batch_size": 768,
    "budget.epochs": 401.0,
    "optim.final_learning_rate": 1e-5,
}


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "root": "data",
            "settings": "A,B,C,D,E",
            "teacher": "",
            "alone": "same",
            "epochs": 201.0,
            "datasets": ",".join(DATASETS),
            "modes": "full",
            "seeds": 3,
            "ours": "",
        }
    )


def study(config: ConfigDict) -> list[Cell]:
    if not config.teacher:
        raise UserError("config.teacher is empty: say --config.teacher=[NAME:]FILE")
    if config.alone not in ("same", "published"):
        raise UserError(f"config.alone={config.alone!r}: should be same or published")
    both = {"data.root": config.root, "budget.epochs": config.epochs}
    ways = {
        "teacher": {**both, "teacher.weights": config.teacher},
        "alone": {**both, **(_PUBLISHED if config.alone == "published" else {}), "teacher": None},
    }
    backbones = [
        Backbone(
            name=f"{setting}-{way}",
            setting=setting,
            start=Pretraining(
                name=f"{setting}-{way}",
                config=f"configs/pretrain/settings.py:{setting}",
                changes=changes,
                teacher=way == "teacher",
            ),
        )
        for setting in config.settings.split(",")
        for way, changes in ways.items()
    ]
    datasets = [dataset(name, config.root) for name in config.datasets.split(",")]
    return grid(backbones, datasets, config.modes.split(","), config.seeds)
