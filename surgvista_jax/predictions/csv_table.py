"""CSV files of predictions, whatever their columns are called.

`--columns video=case,second=t,label=truth,score=p_` says which column is which:
  video, and frame or second; label (a class id or name; empty, nan, -1 or -100: unlabelled); and
  either prediction (a class id or name) or score (the beginning of the columns with one score a
  class).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from surgvista_jax.data.labels.tables import Row, read_rows
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near
from surgvista_jax.metrics.sampling import check_scores
from surgvista_jax.predictions.class_names import check_shared, class_ids, column_order
from surgvista_jax.predictions.frames import Predictions, assemble

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
    """Reads a CSV file with a header, as label files are; single labels only.

    Arguments as in read_folder.
    """
    rows = list(read_rows(path))
    header = [*rows[0].cells] if rows else []
    if not rows:
        raise UserError(f"{source}: no frames; a header and one row a frame are needed")

    def column(role: str) -> str:
        if columns[role] not in header:
            raise UserError(
                f"{source}: no column {columns[role]!r} for {role}{near(columns[role], header)}; "
                f"the file has {', '.join(header)}; say --columns {role}=NAME"
            )
        return columns[role]

    def ids(role: str) -> np.ndarray:
        texts = np.array(_texts(rows, column(role)))
        return class_ids(texts, classes, source, first_class, lambda k: rows[k].where)

    if columns["second"] in header and columns["frame"] not in header:
        seconds = [_place(row, columns["second"]) for row in rows]
        frame = np.rint(np.array(seconds) * fps).astype(np.int64)
    else:
        name = column("frame")
        frame = np.array([_whole_place(row, name) for row in rows], np.int64)
    names = [name for name in header if name.startswith(columns["score"])]
    score = decision = None
    other = ""
    if names:
        score = np.array([[row.number(name) for name in names] for row in rows])
        called = [name.removeprefix(columns["score"]) for name in names]
        order = column_order(called, classes or called, source)
        if classes and len(called) == len(classes):
            other = check_shared(called, classes, source, "the protocol")
        score = check_scores(score, source)[:, order]
        classes = classes or tuple(called[k] for k in order)
    else:
        decision = ids("prediction")
    found = assemble(
        source,
        np.array(_texts(rows, column("video"))),
        frame,
        fps,
        score=score,
        decision=decision,
        label=ids("label") if columns["label"] in header else None,
        classes=classes,
    )
    return replace(found, notes=(*found.notes, other)) if other else found


def _texts(rows: list[Row], column: str) -> list[str]:
    return [row.cells[column].strip() for row in rows]


def _place(row: Row, column: str) -> float:
    """A moment, in seconds or frames."""
    value = row.number(column)
    if not abs(value) < _FURTHEST:
        raise UserError(
            f"{row.where}: column {column!r} holds {row.cells[column].strip()!r:.60}, which is no "
            "place in a video"
        )
    return value


def _whole_place(row: Row, column: str) -> int:
    value = _place(row, column)
    if value != int(value):
        raise UserError(f"{row.where}: column {column!r} holds fractions of frames")
    return int(value)
