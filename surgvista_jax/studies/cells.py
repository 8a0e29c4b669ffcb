"""What is a study made of? Backbones, datasets, and a cell for each pair, mode and seed of them.

A file of a study has `study(config)`, which returns its cells in the order in which they are told,
and may have `get_config`, whose keys the command line replaces, as of any configuration.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surgvista_jax.errors import UserError

RANDOM = "random"
MODES = ("full", "linear", "attentive", "lora", "temporal")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _check_name(what: str, name: str) -> None:
    """Refuses what cannot be the name of a folder everywhere."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{what} {name!r}: should be letters, digits, dots, _ and - alone")


@dataclass(frozen=True, kw_only=True)
class Data:
    """A dataset, on which cells are trained and tested.

    Attributes:
        name: of its folder in the study.
        task: as in `dataset.json`.
        config: of its finetuning, FILE[:ARGUMENT]; "" of data that are for pretraining alone.
        folder: where it lies; "" where the study makes it.
        made_by: words of `surgvista data synthetic`, without --out, that make it.
        group: "internal", "external" or "cross-centre", as seen from the pretraining; "": unsaid.
        changes: keys of its configuration, and their values.
        temporal: the configuration of temporal heads on it.
    """

    name: str
    task: str
    config: str = ""
    folder: str = ""
    made_by: tuple[str, ...] = ()
    group: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    temporal: str = "configs/finetune/mstcn.py"

    def __post_init__(self) -> None:
        _check_name("dataset", self.name)
        if bool(self.folder) == bool(self.made_by):
            raise UserError(f"dataset {self.name}: say either its folder or what makes it")


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """A student that the study pretrains once, for all cells that start from it.

    Attributes:
        name: of its folder in the study.
        config: FILE[:ARGUMENT].
        changes: keys of its configuration, and their values.
        data: what it sees, together; () where the configuration says it.
        teacher: whether a teacher helps, for the tables.
        seed: of the run.
    """

    name: str
    config: str
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    data: tuple[Data, ...] = ()
    teacher: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        _check_name("pretraining", self.name)


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """What cells start from.

    Attributes:
        name: of its folders in the study.
        start: `[NAME:]FILE` or a folder of weights, "random", or a pretraining of the study.
        setting: what the axis of the study calls it; "": its name.
        size: what the plan takes it for, as far as nobody has read the weights: "small", "base",
            "large", "huge", "resnet50" or "efficientvit_m5".
        changes: keys of the configuration of all that start from it, and their values.
    """

    name: str
    start: str | Pretraining
    setting: str = ""
    size: str = "base"
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_name("weights", self.name)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of a study: a backbone on a dataset in one way, from one seed.

    Attributes:
        mode: of `MODES`; "temporal" is a temporal head on the frozen backbone's features.
        changes: keys of its configuration, and their values, over those of backbone and dataset.
    """

    backbone: Backbone
    data: Data
    mode: str
    seed: int
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UserError(f"mode {self.mode!r}: should be one of {', '.join(MODES)}")
        if not self.data.config:
            raise UserError(f"dataset {self.data.name}: is for pretraining alone, without a config")

    @property
    def name(self) -> str:
        """The same as the folder of its run, below that of all cells."""
        return f"{self.backbone.name}/{self.data.name}/{self.mode}/seed{self.seed}"

    @property
    def config(self) -> tuple[str, Mapping[str, Any]]:
        """The file of its configuration, and what replaces its values."""
        if self.mode == "temporal":
            return self.data.temporal, self.changes
        return self.data.config, {**self.backbone.changes, **self.data.changes, **self.changes}


def grid(
    backbones: Iterable[Backbone],
    datasets: Iterable[Data],
    modes: Iterable[str],
    seeds: int,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Cell]:
    """All cells of backbones x datasets x modes x seeds, in that order.

    Temporal heads are for phases alone, on features of weights that are not random.

    Args:
        seeds: how many, from 0.
        changes: mode -> keys of the configuration of its cells, and their values.
    """
    backbones, datasets, modes = list(backbones), list(datasets), list(modes)
    of_mode = changes or {}
    return [
        Cell(backbone=backbone, data=data, mode=mode, seed=seed, changes=of_mode.get(mode, {}))
        for backbone in backbones
        for data in datasets
        for mode in modes
        if mode != "temporal" or (data.task == "phase" and backbone.start != RANDOM)
        for seed in range(seeds)
    ]
