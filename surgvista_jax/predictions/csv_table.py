"""CSV files of predictions, whatever their columns are called.

`--columns video=case,second=t,label=truth,score=p_` says which column is which:
  video, and frame or second; label (a class id or name; empty, nan or below 0: unlabelled); and
  either prediction (a class id or name) or score (the beginning of the columns with one score a
  class).
"""

import csv
import re
from pathlib import Path

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import is_unlabelled, near, same_class
from surgvista_jax.metrics.sampling import check_scores
from surgvista_jax.predictions.class_names import class_ids, column_order
from surgvista_jax.predictions.frames import Predictions, assemble

_BELOW_ZERO = re.compile(r"-[0-9]+(\.0*)?")  # no class, as -1 and -100
_FURTHEST = 1e12  # seconds or frames
ROLES = ("video", "frame", "second", "label", "prediction", "score")
DEFAULTS = {role: role for role in ROLES} | {"score": "score_"}


def parse_columns(text: str) -> dict[str, str]:
    """Role -> column from "role=column,role=column"; the rest keep their role's name."""
    columns = dict(DEFAULTS)
    for pair in filter(None, text.split(",")):
        role, _, column = pair.partition("=")
        if role not in ROLES or not column:
            raise UserError(f"--columns: {pair!r}; write role=column with a role of {ROLES}")
        columns[role] = column
    return columns


def read_csv(
    path: Path,
    source: str,
    columns: dict[str, str],
    fps: float,
    classes: tuple[str, ...],
    first_class: int | None = None,
) -> Predictions:
    """Reads a CSV file with a header; single labels only. Arguments as in read_folder."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [[field.strip() for field in row] for row in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{source}: not readable as CSV ({error})") from None
    if not rows:
        raise UserError(f"{source}: empty; a header and one row a frame are needed")
    header, rows = rows[0], [row for row in rows[1:] if row]
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise UserError(f"{source}: two columns are called {twice[0]!r}; rename one")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UserError(
                f"{source}, line {number}: {len(row)} fields, but the header has {len(header)}"
            )
    table = {name: [row[k] for row in rows] for k, name in enumerate(header)}

    def column(role: str) -> list[str]:
        if columns[role] not in table:
            raise UserError(
                f"{source}: no column {columns[role]!r} for {role}{near(columns[role], header)}; "
                f"the file has {', '.join(header)}; say --columns {role}=NAME"
            )
        return table[columns[role]]

    seconds = table.get(columns["second"])
    if seconds is not None and columns["frame"] not in table:
        frame = np.rint(_places(seconds, source, columns["second"]) * fps).astype(np.int64)
    else:
        frame = _places(column("frame"), source, columns["frame"])
        if not np.array_equal(frame, np.rint(frame)):
            raise UserError(f"{source}: column {columns['frame']!r} holds fractions of frames")
        frame = frame.astype(np.int64)
    names = [name for name in header if name.startswith(columns["score"])]
    score = decision = None
    if names:
        score = np.stack([_numbers(table[name], source, name) for name in names], axis=1)
        called = [name.removeprefix(columns["score"]) for name in names]
        order = column_order(called, classes or called, source)
        score = check_scores(score, source)[:, order]
        classes = classes or tuple(called[k] for k in order)
    else:
        decision = class_ids(np.array(column("prediction")), classes, source, first_class)
    label = None
    if columns["label"] in table:
        texts = np.array(table[columns["label"]])
        told = {same_class(name) for name in classes}
        none = [is_unlabelled(t) or bool(_BELOW_ZERO.fullmatch(t)) for t in texts]
        known = ~np.array(none, bool) | np.array([same_class(t) in told for t in texts], bool)
        label = np.full(len(texts), -1, np.int64)
        if known.any():
            label[known] = class_ids(texts[known], classes, source, first_class)
    return assemble(
        source,
        np.array(column("video")),
        frame,
        fps,
        score=score,
        decision=decision,
        label=label,
        classes=classes,
    )


def _places(texts: list[str], source: str, name: str) -> np.ndarray:
    """Frames or seconds."""
    values = _numbers(texts, source, name)
    wrong = np.flatnonzero(~(np.abs(values) < _FURTHEST))
    if len(wrong):
        raise UserError(
            f"{source}, line {wrong[0] + 2}: column {name!r} holds {texts[wrong[0]]!r:.60}, which "
            "is no place in a video"
        )
    return values


def _numbers(texts: list[str], source: str, name: str) -> np.ndarray:
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        for number, text in enumerate(texts, start=2):
            try:
                float(text)
            except ValueError:
                raise UserError(
                    f"{source}, line {number}: column {name!r} holds {text!r}, not a number"
                ) from None
        raise
