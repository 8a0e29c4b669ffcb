"""The cells of a study as they lie in its folder: what is finished, and what each run says."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.reports.study_cells import STUDY
from surgvista_jax.studies.definitions import Definition
from surgvista_jax.studies.layout import DEFINITIONS

FORMAT = 1
_CONFIG, _RESULT = "config.json", "result.json"
_TEXTS = (
    *("name", "setting", "weights", "dataset", "task", "group", "mode", "protocol", "folder"),
    "definition",
)
_STALE = "stale: was begun with another definition; --dry-run of the study says which"
_UNKNOWN = "stale: does not say what it was begun as"


@dataclass(frozen=True)
class Cell:
    """One run of a study, planned or done.

    Attributes:
        setting: what the axis of the study calls it.
        weights: the backbone that it started from.
        teacher: whether its pretraining had one; None for weights that were given.
        group: of its dataset: "internal", "external", "cross-centre" or "".
        folder: of the run.
        lacks: why there is no result, in words; "" where there is one.
        config: of the run; {} where it has not begun, or is another's.
        result: what `result.json` says; {} where there is none.
    """

    name: str
    setting: str
    weights: str
    teacher: bool | None
    pretraining: str | None
    init: str | None
    dataset: str
    task: str
    group: str
    mode: str
    seed: int
    protocol: str
    folder: Path
    lacks: str
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    result: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def predictions(self) -> Path:
        return self.folder / PREDICTIONS


@dataclass(frozen=True)
class Study:
    """A study's plan with what its cells left; lists are in the study's own order."""

    folder: Path
    name: str
    title: str
    digest: str
    ours: str
    ordered: bool
    cells: tuple[Cell, ...]
    pretrainings: tuple[dict[str, Any], ...]
    datasets: tuple[dict[str, Any], ...]

    @property
    def weights(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.weights for cell in self.cells))

    def panels(self) -> dict[tuple[str, str], list[Cell]]:
        """The cells that are compared with one another, by dataset and mode."""
        found: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            found.setdefault((cell.dataset, cell.mode), []).append(cell)
        return found


def collect(folder: Path) -> Study:
    """Reads the plan of a study and looks at each of its cells.

    Raises:
        UserError: there is no plan in the folder, or it is not one.
    """
    path = folder / STUDY
    if not path.is_file():
        raise UserError(f"{path}: no such file; `surgvista study STUDY.py --out {folder}` makes it")
    plan = read_object(path)
    if plan.get("format") != FORMAT:
        raise UserError(f"{path}: 'format' is {plan.get('format')!r}; this version reads {FORMAT}")
    try:
        cells = tuple(_cell(folder, entry) for entry in plan["cells"])
        study = Study(
            folder,
            str(plan["study"]),
            str(plan["title"]),
            str(plan["digest"]),
            str(plan["ours"]),
            bool(plan["ordered"]),
            cells,
            tuple(dict(entry) for entry in plan["pretrainings"]),
            tuple(dict(entry) for entry in plan["datasets"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{path}: is not what `surgvista study` writes ({reason})") from None
    if not cells:
        raise UserError(f"{path}: holds no cells, so that there is nothing to report")
    if study.ours and study.ours not in study.weights:
        raise UserError(f"{path}: 'ours' is {study.ours!r}: no cell has these weights")
    return study


def _cell(folder: Path, entry: dict) -> Cell:
    texts = {key: entry[key] for key in _TEXTS}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise ValueError(f"a cell's {key!r} is {value!r:.60}")
    place, definition = folder / texts["folder"], texts.pop("definition")
    begun, _ = _read(folder / DEFINITIONS / f"{texts.pop('folder')}.json")
    config, lacks = _read(place / _CONFIG)
    result: dict[str, Any] = {}
    if not place.is_dir():
        lacks = "not begun"
    elif Definition(begun).digest != definition:
        config, lacks = {}, _STALE if begun else _UNKNOWN
    elif not lacks:
        result, lacks = _read(place / _RESULT)
        if not result:
            lacks = lacks or "begun and not at its end: stopped, failed or still running"
        elif not (place / PREDICTIONS).is_file():
            lacks = f"has no {PREDICTIONS}: its dataset names no test videos"
    return Cell(
        **texts,
        teacher=entry["teacher"],
        pretraining=entry["pretraining"],
        init=entry["init"],
        seed=int(entry["seed"]),
        folder=place,
        lacks=lacks,
        config=config,
        result=result,
    )


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """The object of a file that may be missing, and why it is none where it is broken."""
    if not path.is_file():
        return {}, ""
    try:
        return read_object(path), ""
    except UserError as error:
        return {}, str(error)
