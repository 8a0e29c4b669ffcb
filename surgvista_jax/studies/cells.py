"""What is a study made of? Backbones, datasets, and a cell for each pair, mode and seed of them.

A file of a study has `study(config)`, which returns its cells in the order in which they are told,
and may have `get_config`, whose keys the command line replaces, as of any configuration.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from surgvista_jax.checks import check, check_one_of, check_seed, shortened
from surgvista_jax.errors import UserError
from surgvista_jax.facts.tasks import NONE, TASKS
from surgvista_jax.models.sizes import SIZES

RANDOM = "random"
MODES = ("full", "linear", "attentive", "lora", "temporal")
GROUPS = ("internal", "external", "cross-centre")
CNNS = ("resnet50", "efficientvit_m5")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@contextlib.contextmanager
def _checked(what: str, name: object) -> Iterator[None]:
    """Refuses what cannot be the name of a folder everywhere; names the part in other refusals."""
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise UserError(f"{what} {name!r}: should be letters, digits, dots, _ and - alone")
    try:
        yield
    except ValueError as error:
        raise UserError(f"{what} {name}: {error}") from error


def _check_kind(part: Any, said: str, kind: Any, *fields: str) -> None:
    check(part, said, lambda value: isinstance(value, kind), *fields)


def _check_changes(part: Any) -> None:
    """Refuses what is not keys of a configuration and values that a command line can say."""
    _check_kind(part, "a dict of keys and values", Mapping, "changes")
    for key, value in part.changes.items():
        if not isinstance(key, str):
            raise ValueError(f"changes: the key {shortened(key)} should be a text")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            said = "should be of JSON's kinds: finite numbers, texts, lists of them and the like"
            raise ValueError(f"changes[{key!r}]={shortened(value)}: {said}") from None


def _check_all(part: Any, field: str, said: str, kind: type) -> None:
    """Refuses what is not a tuple of a kind."""
    check(
        part,
        f"a tuple of {said}",
        lambda value: isinstance(value, tuple) and all(isinstance(each, kind) for each in value),
        field,
    )


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
        with _checked("dataset", self.name):
            _check_kind(self, "a text", str, "config", "folder", "temporal")
            check_one_of(self, (*TASKS, NONE), "task")
            check(self, f"{', '.join(GROUPS)} or empty", lambda x: x in (*GROUPS, ""), "group")
            _check_all(self, "made_by", "words", str)
            _check_changes(self)
            if bool(self.folder) == bool(self.made_by):
                raise ValueError("say either its folder or what makes it")


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
        with _checked("pretraining", self.name):
            _check_kind(self, "a text", str, "config")
            _check_kind(self, "True or False", bool, "teacher")
            _check_all(self, "data", "datasets, each a Data", Data)
            _check_changes(self)
            check_seed(self)


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
        with _checked("weights", self.name):
            said = "[NAME:]FILE, a folder of weights, 'random' or a Pretraining"
            check(self, said, lambda start: bool(start), "start")
            _check_kind(self, said, str | Pretraining, "start")
            _check_kind(self, "a text", str, "setting")
            check_one_of(self, (*SIZES, *CNNS), "size")
            _check_changes(self)


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
        with _checked("cell of weights", getattr(self.backbone, "name", self.backbone)):
            _check_kind(self, "a Backbone", Backbone, "backbone")
            _check_kind(self, "a Data", Data, "data")
            check_one_of(self, MODES, "mode")
            _check_changes(self)
            check_seed(self)
            if not self.data.config:
                raise ValueError(f"dataset {self.data.name}: is for pretraining alone, no config")

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
