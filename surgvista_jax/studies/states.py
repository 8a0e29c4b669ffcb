"""How far is a run of a study? Its folder tells it; nothing is booked beside it.

What a folder was begun as stands in `definitions/`, a file for each, written before the run begins.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surgvista_jax.data.batches.stretches import StretchIndex
from surgvista_jax.data.checking.once import read_once
from surgvista_jax.data.storage.feature_folder import open_features
from surgvista_jax.data.storage.features_header import HEADER_FILE
from surgvista_jax.data.storage.manifest import FILES, read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.locking import NAME as LOCK
from surgvista_jax.locking import alone_in
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.studies.definitions import Definition
from surgvista_jax.studies.layout import DEFINITIONS
from surgvista_jax.studies.layout import STALE as STALE_RUNS
from surgvista_jax.studies.plan import Run
from surgvista_jax.studies.pretraining_data import counted_clips
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.writing import write_json, writing_to

TO_DO, BEGUN, DONE, STALE = "to do", "begun", "done", "stale"
_CONFIG, _RESULT, _REPORT = "config.json", "result.json", "report/report.json"


@dataclass(frozen=True)
class State:
    """How far a run is.

    Attributes:
        name: "to do", "begun", "done" or "stale".
        why: of a stale one, what is another than when it began.
    """

    name: str
    why: str = ""


def state_of(out: Path, run: Run) -> State:
    """How far a run is, by its folder.

    Args:
        out: the study's folder.
    """
    folder = out / run.folder
    if not folder.is_dir():
        return State(TO_DO)
    try:
        begun = read_object(definition_file(out, run))
    except UserError:
        return State(STALE, "it does not say what it was begun as")
    differences = run.definition.differences(begun)
    if differences:
        return State(STALE, differences)
    return State(DONE if is_done(folder, run.words) else BEGUN)


def as_begun(out: Path, run: Run) -> Run:
    """A run that is done with the definition that it was begun with, if it is not stale.

    That may say the same in other words (20 for 20.0, a file whose content was not known then),
    whose digest is another; by the digest the report and the runs that follow know it.
    """
    if state_of(out, run).name != DONE:
        return run
    return replace(run, definition=Definition(read_object(definition_file(out, run))))


def definition_file(out: Path, run: Run) -> Path:
    """Where it stands what a run was begun as."""
    return out / DEFINITIONS / f"{run.folder}.json"


def note_definition(out: Path, run: Run) -> None:
    """Writes down what a run is begun as, before it makes its folder."""
    path = definition_file(out, run)
    with contextlib.suppress(UserError):  # there is none, or it is damaged
        if run.definition.is_written(read_object(path)):
            return
    write_json(path, run.definition.values)


def is_done(folder: Path, words: Sequence[str], told: bool = False) -> bool:
    """Whether all is in a run's folder that its command leaves.

    Args:
        words: of the command.
        told: takes nothing for granted: the command would tell what is missing.
    """
    if told and words[0] == "features" and not _dataset_of(words).exists():
        return False
    by_command = {"pretrain": _pretrained, "finetune": _finetuned, "features": _computed}
    return by_command.get(words[0], _made)(folder, words)


def _made(folder: Path, words: Sequence[str]) -> bool:
    return all((folder / name).is_file() for name in FILES)


def _finetuned(folder: Path, words: Sequence[str]) -> bool:
    """Whether all is there that a run on labels leaves; the report is written last."""
    try:
        result, config = read_object(folder / _RESULT), read_object(folder / _CONFIG)
    except UserError:
        return False
    if "test" not in result:
        return True
    scored = not config["evaluation"]["protocol"] or (folder / _REPORT).is_file()
    return scored and (folder / PREDICTIONS).is_file()


def _pretrained(folder: Path, words: Sequence[str]) -> bool:
    """Whether the newest checkpoint is that of the last step."""
    steps = [int(path.name) for path in (folder / "checkpoints").glob("*") if path.name.isdecimal()]
    try:
        return bool(steps) and max(steps) >= _steps(folder, read_object(folder / _CONFIG))
    except UserError:  # its data were never here, or the run's configuration is not whole
        return False


def _steps(folder: Path, config: Mapping[str, Any]) -> int:
    """The steps of a pretraining run, which counts its clips itself when it ends."""
    budget = BudgetConfig(**config["budget"])
    if budget.steps is not None:
        return budget.steps
    data, clip = config["data"], config["clip"]
    twice = data.get("allow_overlap", False)
    try:
        dataset = read_once(data["folder"], data["split"], data["root"], twice).dataset
    except UserError:  # the data are on another machine, or gone
        if not (counted := counted_clips(folder)):
            raise
        return budget.num_steps(sum(counted.values()))
    lengths = [video.num_frames for video in dataset.videos]
    apart = config["model"]["tubelet"] * clip["stride"]
    return budget.num_steps(StretchIndex(lengths, clip["slide"], apart).places)


def _dataset_of(words: Sequence[str]) -> Path:
    (folder,) = (word.partition("=")[2] for word in words if word.startswith("--dataset="))
    return Path(folder)


def _computed(folder: Path, words: Sequence[str]) -> bool:
    """Whether a features folder has a file for each video of its dataset.

    Without the dataset none can be added: those that are there are taken for all of them.
    """
    if not (folder / HEADER_FILE).is_file():
        return False
    dataset = _dataset_of(words)
    try:
        features = open_features(folder)
        if not dataset.exists():
            return next(folder.rglob("*.npy"), None) is not None
        return all(features.path(video).is_file() for video in read_dataset(dataset).videos)
    except UserError:
        return False


def move_stale(out: Path, runs: Iterable[Run]) -> list[str]:
    """Moves the folders of stale runs below `stale/`, where nothing is lost; says so in lines.

    Raises:
        UserError: another process is at work in one of them.
        CannotWrite: it cannot be moved.
    """
    return [
        f"{run.folder}: was stale; moved to {_moved(out, run)}"
        for run in runs
        if state_of(out, run).name == STALE
    ]


def _moved(out: Path, run: Run) -> Path:
    number = 1
    while os.path.lexists(place := out / STALE_RUNS / f"{run.folder}.{number}"):
        number += 1
    with alone_in(out / run.folder, "stop it"), writing_to(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        os.rename(out / run.folder, place)
        (place / LOCK).unlink(missing_ok=True)  # ours, which is looked for where it was
    return place
