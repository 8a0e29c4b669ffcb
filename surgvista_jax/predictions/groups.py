"""The centre, procedure or patient that each video belongs to.

Read from a dataset folder (dataset.json and videos.jsonl) or from a CSV file with the columns video
and centre, procedure or patient.
"""

from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.data.labels.tables import read_rows
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near, same_class
from surgvista_jax.json_lines import read_lines
from surgvista_jax.json_object import parse

KINDS = ("centre", "procedure", "patient")


def read_groups(path: Path, kind: str, videos: Sequence[str]) -> list[str]:
    """The group of each video; spellings of one name, as of a class, are the one that comes first.

    Raises:
        UserError: a video has none.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"--groups {path}: no such file or folder")
    table = _from_dataset(path, kind) if path.is_dir() else _from_csv(path, kind)
    for video in videos:
        if not table.get(video):
            raise UserError(f"--groups {path}: no {kind} is given for {video}")
    spelled: dict[str, str] = {}
    return [spelled.setdefault(same_class(table[video]), table[video]) for video in videos]


def _from_dataset(folder: Path, kind: str) -> dict[str, str]:
    try:
        dataset = parse((folder / "dataset.json").read_text(encoding="utf-8"))
        entries = [line.values for line in read_lines(folder / "videos.jsonl")]
        if kind == "procedure":
            return {entry["video"]: str(dataset.get("procedure") or "") for entry in entries}
        return {entry["video"]: str(entry.get(kind) or "") for entry in entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f"--groups {folder}: not a dataset folder with dataset.json and videos.jsonl ({error})"
        ) from None


def _from_csv(path: Path, kind: str) -> dict[str, str]:
    rows = list(read_rows(path))
    header = [*rows[0].cells] if rows else []
    for column in ("video", kind):
        if column not in header:
            raise UserError(
                f"--groups {path}: the columns video and {kind} are needed; no column {column!r} in"
                f" {', '.join(header) or 'an empty file'}{near(column, header)}"
            )
    return {row.cells["video"].strip(): row.cells[kind].strip() for row in rows}
