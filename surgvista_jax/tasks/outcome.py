"""What a finished run leaves: predictions, a result in numbers, a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.data.batches.division import Division
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.inference.predictions import write_outputs
from surgvista_jax.inference.temporal import BACKBONE
from surgvista_jax.inference.trained import MADE_SPLITS, TRANSITIONS
from surgvista_jax.json_object import read_object
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.metrics.statistics import over_seeds
from surgvista_jax.ownership import Ownership
from surgvista_jax.predictions.frames import DAMAGE
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.predictions.transitions import transitions_of
from surgvista_jax.reports.files import FILES as REPORT_FILES
from surgvista_jax.reports.files import report_files, write_report
from surgvista_jax.reports.screen import summary
from surgvista_jax.tasks.beginning import SPLITS
from surgvista_jax.tasks.scoring import ScoringConfig
from surgvista_jax.tasks.selection import score
from surgvista_jax.writing import write_json

RESULT = "result.json"
_REPORT = "report"


class LabelledRun(Protocol):
    """What is told of the configuration of a run on labels, whatever it trains."""

    @property
    def mode(self) -> str: ...

    @property
    def seed(self) -> int: ...

    @property
    def select_on(self) -> str: ...

    @property
    def evaluation(self) -> ScoringConfig: ...


def check_protocol(name: str, dataset: Dataset) -> None:
    """Raises UserError for a protocol that cannot score the labels of a dataset; "" is none."""
    if not name:
        return
    if name not in PROTOCOLS:
        raise UserError(
            f"config.evaluation.protocol={name!r}: should be one of {', '.join(PROTOCOLS)}"
        )
    misfit = PROTOCOLS[name].misfit(dataset.task, dataset.label_kind, dataset.classes)
    if misfit:
        raise UserError(f"config.evaluation.protocol={name!r}: the dataset {misfit}")


def description(config: LabelledRun, dataset: Dataset, *, name: str, **parts: Any) -> dict:
    """What a trained model is, as JSON values: it is saved with the model and its predictions.

    Args:
        config: of its run.
        dataset: what it was trained on.
        name: what predictions call it.
        parts: what is said of this kind of model alone, such as its sizes.
    """
    counted = transitions_of(dataset)
    return {
        "task": dataset.task,
        "classes": list(dataset.classes),
        "label_kind": dataset.label_kind,
        "fps": dataset.fps,
        "dataset": dataset.name,
        "mode": config.mode,
        "seed": config.seed,
        "selected_on": config.select_on,
        "name": name,
        **({} if counted is None else {TRANSITIONS: counted.as_json()}),
        **parts,
    }


def made_splits(division: Division) -> dict[str, Any]:
    """The part of a description that names splits which were made; {} where none were."""
    made = {split: list(ids) for split, ids in division.made.items()}
    return {MADE_SPLITS: made} if made else {}


def outcome_files(division: Division, protocol: str) -> list[str]:
    """What `tell_division` and `write_outcome` write in a run's folder."""
    files = [RESULT]
    if division.made:
        files.append(SPLITS)
    if division.test is not None:
        files += [PREDICTIONS, *(f"{_REPORT}/{name}" for name in REPORT_FILES if protocol)]
    return files


def write_outcome(
    owned: Ownership,
    config: LabelledRun,
    division: Division,
    best: dict,
    outputs: Outputs | None,
    about: dict,
    one_of_several: bool = False,
) -> None:
    """Writes what process 0 has to say at the end of a run, and prints the scores.

    Args:
        owned: of the run's folder.
        best: step and validation score of the parameters that were chosen.
        outputs: of the test videos; None where there are none.
        about: from `description`.
        one_of_several: leaves the tables of scores to `report_seeds`.
    """
    if jax.process_index() != 0:
        return
    name = config.evaluation.score
    result = {"score": name, "selected_on": config.select_on, "step": best["step"]}
    said = f"step {best['step']}, the last"
    if division.selection is not None:
        result["selection"] = best["score"]
        result["selection_from"] = division.selected_on
        result["selection_videos"] = len(division.selection.videos)
        found = _in_words(best["score"])
        said = f"{name} {found} on {division.selected_on}, at step {best['step']}"
    if outputs is not None:
        result |= {"test": _finite(score(name, outputs)), "clips": len(outputs.frame)}
        if outputs.unreadable is not None:
            result["unreadable_frames"] = int(outputs.unreadable.sum())
        said += f"; test {name} {_in_words(result['test'])} on {counted(result['clips'], 'clip')}"
        predictions = owned.folder / PREDICTIONS
        _write_predictions(owned, division, outputs, about | {"step": best["step"]})
        said += f" -> {predictions}"
    write_json(owned.folder / RESULT, result, owned)
    print(said)
    if outputs is not None and config.evaluation.protocol:
        told = _report([predictions], config.evaluation.protocol, owned)
        print(told.splitlines()[-1] if one_of_several else told)


def _write_predictions(owned: Ownership, division: Division, outputs: Outputs, about: dict) -> None:
    """Writes the test predictions."""
    assert division.test is not None  # the outputs are of its videos
    sizes = ("name", "model", "head", "clip", TRANSITIONS, BACKBONE)
    meta = {key: value for key, value in about.items() if key not in sizes}
    meta |= {"model": about["name"], "split": next(iter(division.test.splits)), "smoothing": None}
    if damage := {
        video.video: list(video.damage) for video in division.test.videos if video.damage
    }:
        meta[DAMAGE] = damage
    write_outputs(owned.folder / PREDICTIONS, division.test, outputs, meta, guard=owned)


def seeds_files(protocol: str) -> list[str]:
    """The files that `report_seeds` may write."""
    return [RESULT, *(f"{_REPORT}/{name}" for name in REPORT_FILES if protocol)]


def report_seeds(folders: Sequence[Path], owned: Ownership, protocol: str) -> str:
    """Mean and spread over the runs in `folders`, in words; written to result.json and, with a
    protocol and test videos, as one report over all seeds."""
    results = [_read_result(folder / RESULT) for folder in folders]
    summary = {"score": results[0]["score"], "selected_on": results[0]["selected_on"]}
    lines = []
    for key in ("selection", "test"):
        if key in results[0]:
            values = [result[key] for result in results]
            # A score that is not finite is null, and so is the mean over it.
            mean, spread, _ = over_seeds(np.array(values, np.float64))
            summary[key] = {"mean": _finite(mean), "std": _finite(spread), "values": values}
            listed = ", ".join(map(_in_words, values))
            lines.append(f"{key} {summary['score']} {mean:.4f} ± {spread:.4f} ({listed})")
    write_json(owned.folder / RESULT, summary, owned)
    if protocol and "test" in results[0]:
        files = [folder / PREDICTIONS for folder in folders]
        lines.append(_report(files, protocol, owned))
    return "\n".join(lines)


def _report(files: Sequence[Path], protocol: str, owned: Ownership) -> str:
    out = owned.folder / _REPORT
    report = report_files([str(file) for file in files], protocol)
    write_report(report, out, owned)
    return summary(report, out)


def _read_result(path: Path) -> dict[str, Any]:
    result = read_object(path)
    wrong = [key for key in ("score", "selected_on") if not isinstance(result.get(key), str)]
    wrong += [
        key
        for key in ("selection", "test")
        if not isinstance(result.get(key), int | float | None) or isinstance(result.get(key), bool)
    ]
    if wrong:
        raise UserError(
            f"{path}: {wrong[0]!r} is not what a run writes; delete the file and run the same"
            " command again"
        )
    return result


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _in_words(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
