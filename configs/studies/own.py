"""One's own datasets: more and more of them to pretrain on, with a teacher and without.

`--config.data=A,B,C` names dataset folders. Students are pretrained on the first, on the first two,
and so on, and each is finetuned on all that have labels, or on those of `--config.datasets`. The
students have a teacher, too, where `--config.teacher=[NAME:]FILE` names one; but for it, both are
pretrained alike.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.facts.tasks import NONE
from surgvista_jax.studies.cells import Backbone, Cell, Data, Pretraining, grid


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "root": "",
            "data": "",
            "datasets": "",
            "teacher": "none",
            "pretraining": "configs/pretrain/own.py:teacher",
            "finetuning": "configs/finetune/own.py",
            "modes": "full,linear",
            "seeds": 3,
            "ours": "",
            "ordered": True,  # without a teacher, each student is tested against the one before it
        }
    )


def _data(folder: Path, finetuning: str) -> Data:
    task = read_dataset(folder).task
    config = "" if task == NONE else finetuning
    return Data(name=folder.name, task=task, config=config, folder=str(folder))


def study(config: ConfigDict) -> list[Cell]:
    names = [name.strip() for name in config.data.split(",")]
    folders = [Path(config.root, name) for name in names if name]
    if not folders:
        raise UserError("config.data is empty: say --config.data=FOLDER,FOLDER, one or more")
    if len({folder.name for folder in folders}) < len(folders):
        raise UserError(f"config.data={config.data}: two folders have one name; rename one of them")
    data = [_data(folder, config.finetuning) for folder in folders]
    labelled = [each for each in data if each.config]
    asked = [name.strip() for name in config.datasets.split(",") if name.strip()]
    asked = asked or [each.name for each in labelled]
    if unknown := set(asked) - {each.name for each in labelled}:
        raise UserError(f"config.datasets: {', '.join(sorted(unknown))}: no labelled one of data")
    ways = {"alone": {"teacher": None}}
    if config.teacher != "none":
        ways = {"teacher": {"teacher.weights": config.teacher}, **ways}
    backbones = [
        Backbone(
            name=f"{seen[-1].name}-{way}",
            setting=f"up to {seen[-1].name}" if len(seen) > 1 else seen[0].name,
            start=Pretraining(
                name=f"{seen[-1].name}-{way}",
                config=config.pretraining,
                changes=changes,
                data=tuple(seen),
                teacher=way == "teacher",
            ),
        )
        for seen in (data[:count] for count in range(1, len(data) + 1))
        for way, changes in ways.items()
    ]
    datasets = [each for each in labelled if each.name in asked]
    return grid(backbones, datasets, config.modes.split(","), config.seeds)
