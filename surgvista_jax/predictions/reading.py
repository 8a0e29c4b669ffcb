"""From paths on the command line to predictions that a protocol can score.

Files over disjoint videos are the folds of one run and are joined; files over the same videos are
repeated runs (seeds).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from surgvista_jax.counted import counted
from surgvista_jax.data.labels.tables import read_rows
from surgvista_jax.errors import UserError
from surgvista_jax.metrics.protocols import Protocol, TripletChoices
from surgvista_jax.ownership import sha256_of
from surgvista_jax.predictions.concatenated import BY_TRUTH, ONE, is_text_file, separate
from surgvista_jax.predictions.csv_table import DEFAULTS, read_csv
from surgvista_jax.predictions.fitting import (
    check_meta,
    fitted,
    labelled,
    reordered,
    scored,
)
from surgvista_jax.predictions.frames import Predictions, at_rate, join
from surgvista_jax.predictions.label_csv import is_label_csv, read_labels
from surgvista_jax.predictions.npz import read_npz
from surgvista_jax.predictions.places import file_in, with_runs_opened
from surgvista_jax.predictions.text_folder import read_folder
from surgvista_jax.predictions.truth import with_truth


@dataclass(frozen=True)
class ReadingOptions:
    """What the user says about files that do not say it themselves."""

    fps: float | None = None  # of text and CSV files
    truth: Path | None = None  # folder of ground truth, text layout
    truth_fps: float | None = None
    classes: tuple[str, ...] = ()
    columns: dict | None = None
    first_class: int | None = None  # its number where classes are numbers; None: seen from them
    missing: str = "error"
    boundaries: str = ""  # of videos in one sequence: concatenated.BY_TRUTH, .ONE, or a CSV file


def read_runs(
    paths: Sequence[str], protocol: Protocol, options: ReadingOptions
) -> list[Predictions]:
    """One Predictions a run, ready to be scored."""
    paths = with_runs_opened(paths)
    files = [read_one(path, protocol, options) for path in paths]
    sets = [frozenset(file.videos) for file in files]
    if len(set(sets)) == 1:
        return files
    if sum(map(len, sets)) == len(frozenset().union(*sets)):
        return [join(files)]
    first = next(k for k in range(1, len(sets)) if sets[k] != sets[0])
    shared = sorted(sets[0] & sets[first])
    raise UserError(
        f"{paths[0]} and {paths[first]} share {counted(len(shared), 'video')} but not all; give"
        " runs over the "
        "same videos (seeds) or over disjoint ones (folds)"
    )


def read_one(path: str, protocol: Protocol, options: ReadingOptions) -> Predictions:
    """Reads one file or folder, checks it against the protocol, brings it to its rate."""
    classes = protocol.class_names
    if options.classes and not isinstance(protocol.choices, TripletChoices):
        classes = options.classes
    place = file_in(path)
    text = is_text_file(place)
    labels_alone = _is_label_file(place, options)
    if labels_alone and protocol.label_kind != "multi":
        fps = options.fps or protocol.fps or 1.0
        found = _read_labels(place, protocol, classes, fps, options)
        found = found.take(found.decision >= 0) if found.decision is not None else found
    elif place.is_dir() or text or place.suffix.lower() in (".csv", ".tsv"):
        if protocol.label_kind == "multi":
            raise UserError(f"{path}: {protocol.name} needs scores of several labels: an .npz file")
        if options.fps is None:
            raise UserError(f"{path}: --fps is needed, the rate of its frame numbers")
        if place.is_dir() or text:
            found = read_folder(place, path, options.fps, classes, options.first_class)
        else:
            columns = options.columns or DEFAULTS
            found = read_csv(place, path, columns, options.fps, classes, options.first_class)
    elif place.suffix == ".npz":
        found = read_npz(place, path, one_sequence=bool(options.boundaries))
        if options.fps not in (None, found.fps) and options.truth is None:
            note = f"{path}: its own fps {found.fps:g} was used; --fps is for text and CSV files"
            found = replace(found, notes=(*found.notes, note))
        found = replace(found, notes=(*found.notes, *found.damage_note()))
        check_meta(found, protocol, classes)
        if classes and len(found.classes) == len(classes):
            found = reordered(found, classes, protocol.name)
    else:
        raise UserError(f"{path}: give an .npz, .csv or .txt file or a folder of .txt files")
    found = replace(found, files=((path, digest(place)),))
    truth = None
    if options.truth is not None:
        truth_fps = options.truth_fps or options.fps or found.fps
        if _is_label_file(options.truth):
            own = classes or found.classes
            truth = _read_labels(options.truth, protocol, own, found.fps, options, found)
            found = replace(found, notes=(*found.notes, *truth.notes))
        else:
            truth = _read_truth(options.truth, truth_fps, classes, options)
        found = replace(found, files=(*found.files, (truth.source, digest(options.truth))))
    if text or options.boundaries:
        boundaries = options.boundaries or BY_TRUTH
        found, truth = separate(found, truth, boundaries, protocol.splits)
    if truth is not None:
        found = with_truth(found, truth, protocol.fps, options.missing)
    found = scored(at_rate(labelled(found), protocol.fps), protocol)
    return fitted(found, protocol, classes, one=options.boundaries == ONE)


def _is_label_file(place: Path, options: ReadingOptions | None = None) -> bool:
    """Whether these are label files, as `data convert` reads them.

    Args:
        options: of predictions, which a CSV file may hold in a layout of its own; None for truth.
    """
    if not is_label_csv(place):
        return False
    if place.is_dir() or options is None:
        return True
    columns = options.columns or DEFAULTS
    header = next((row.cells for row in read_rows(place)), {})
    return columns["prediction"] not in header and not any(
        name.startswith(columns["score"]) for name in header
    )


def _read_labels(
    place: Path,
    protocol: Protocol,
    classes: tuple[str, ...],
    fps: float,
    options: ReadingOptions,
    predicted: Predictions | None = None,
) -> Predictions:
    said = (options.columns or DEFAULTS)["label"]
    return read_labels(
        place,
        protocol.task,
        classes,
        fps,
        column=None if said == DEFAULTS["label"] else said,
        first_class=options.first_class,
        predicted=predicted,
    )


def _read_truth(
    place: Path, fps: float, classes: tuple[str, ...], options: ReadingOptions
) -> Predictions:
    if not place.is_dir() and not is_text_file(place):
        raise UserError(f"--truth {place}: no such folder, and no .txt or .csv file")
    return read_folder(place, str(place), fps, classes, options.first_class)


def digest(path: Path) -> str:
    """SHA-256 of a file, or over the names and contents of a folder's files."""
    if path.is_file():
        return sha256_of(path)
    hasher = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            content = bytes.fromhex(sha256_of(file))
            hasher.update(file.relative_to(path).as_posix().encode() + b"\0" + content)
    return hasher.hexdigest()
