"""Dataset folders: reads, checks and writes `dataset.json` and `videos.jsonl`."""

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from surgvista_jax.addresses import address_of, in_bucket
from surgvista_jax.counted import counted
from surgvista_jax.data.dataset import TASKS, UNLABELLED, Dataset, Video
from surgvista_jax.data.storage.fetching import fetched
from surgvista_jax.data.storage.open import FRAME_NAME
from surgvista_jax.data.storage.records import read_index
from surgvista_jax.data.storage.tfds import is_tfds, read_tfds, source_folder
from surgvista_jax.errors import UserError
from surgvista_jax.facts.tasks import LABEL_KINDS
from surgvista_jax.json_lines import read_lines
from surgvista_jax.json_object import parse
from surgvista_jax.writing import Guard, write_text

FILES = DATASET_FILE, VIDEOS_FILE = "dataset.json", "videos.jsonl"
_HIGHEST_RATE = 1e6  # frames a second
_A_RATE = f"'fps' must be a number above 0 (and at most {_HIGHEST_RATE:,.0f})"
_MANY_FRAMES = 100_000  # of a video: more are not believed unseen
_MOST_FRAMES = 2**31 - 1
_MISSING = "{}: missing; `surgvista data convert` writes it"
_AGAIN = "mend it, or run `surgvista data convert` again, which writes the file anew"
_LONGEST_FOUND = 300  # characters of a wrong value in a message


def read_dataset(folder: str | os.PathLike) -> Dataset:
    """Reads and checks a dataset folder; a prepared TFDS folder counts as one.

    One that lies in a bucket, packed, is fetched first; the dataset's folder is then that of this
    machine.

    Raises:
        UserError: naming the file, and the line of `videos.jsonl`, at fault.
    """
    if in_bucket(folder):
        folder = fetched(address_of(folder), FILES)
    folder = Path(folder)
    path = folder / DATASET_FILE
    if not folder.is_dir():
        raise UserError(
            f"{folder}: {'is a file' if folder.is_file() else 'no such folder'};"
            " `surgvista data convert` makes a dataset folder"
        )
    if not path.exists() and is_tfds(folder):
        return read_tfds(folder)
    head = _parse(_read_text(path), str(path))
    # `folder` and `videos` are the fields of Dataset that the file does not hold.
    names = {field.name for field in dataclasses.fields(Dataset)} - {"folder", "videos"}
    _check_keys(head, required=names, optional=set(), where=str(path))
    for key in ("name", "procedure", "licence", "citation", "source_format"):
        _check(isinstance(head[key], str), path, f"{key!r} must be text", head[key])
    _check(head["task"] in TASKS, path, f"'task' must be one of {TASKS}", head["task"])
    kind = head["label_kind"]
    _check(kind in LABEL_KINDS, path, f"'label_kind' must be one of {LABEL_KINDS}", kind)
    _check(_is_names(head["classes"]), path, "'classes' must be a list of names, each once")
    _check(_is_rate(head["fps"]), path, _A_RATE, head["fps"])
    _check(
        isinstance(head["splits"], dict) and all(map(_is_names, head["splits"].values())),
        path,
        "'splits' must map a name to a list of video ids, each once",
    )
    videos = _read_videos(folder, len(head["classes"]), kind)
    ids = {video.video for video in videos}
    for split, members in head["splits"].items():
        unknown = [video_id for video_id in members if video_id not in ids]
        _check(
            not unknown, path, f"split {split!r} names videos that videos.jsonl lacks", unknown[:5]
        )
    return Dataset(
        folder=folder,
        videos=videos,
        **{
            **head,
            "fps": float(head["fps"]),
            "classes": tuple(head["classes"]),
            "splits": {split: tuple(members) for split, members in head["splits"].items()},
        },
    )


def write_dataset(
    dataset: Dataset, videos: Iterable[Video] | None = None, guard: Guard | None = None
) -> None:
    """Writes both files of the folder, each whole or not at all.

    `dataset.json` comes last, so that a folder which has it has its videos too.

    Args:
        videos: taken instead of `dataset.videos`, one after the other: labels of many videos need
            not be in memory together.
        guard: is asked before a file is replaced.

    Raises:
        CannotWrite: they cannot be written.
    """
    head = dataclasses.asdict(dataclasses.replace(dataset, videos=()))
    del head["folder"], head["videos"]
    lines = (
        json.dumps(_without_none(video), ensure_ascii=False) + "\n"
        for video in (dataset.videos if videos is None else videos)
    )
    write_text(dataset.folder / VIDEOS_FILE, lines, guard)
    text = json.dumps(head, ensure_ascii=False, indent=2)
    write_text(dataset.folder / DATASET_FILE, text + "\n", guard)


def _read_videos(folder: Path, num_classes: int, label_kind: str) -> tuple[Video, ...]:
    path = folder / VIDEOS_FILE
    fields = dataclasses.fields(Video)
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    packed = {video for shard in read_index(folder) for video, _ in shard.videos}
    optional = {field.name for field in fields} - required
    videos: dict[str, Video] = {}
    if not path.exists():
        raise UserError(_MISSING.format(path))
    for line in read_lines(path, advice=_AGAIN):
        where, entry = f"{path}, line {line.number}", line.values
        _check_keys(entry, required, optional, where)
        for key in ("video", "source"):
            _check(isinstance(entry[key], str) and entry[key], where, f"{key!r} must be text")
        for key in ("patient", "centre"):
            value = entry.get(key)
            _check(value is None or isinstance(value, str), where, f"{key!r} must be text", value)
        _check(_is_rate(entry["fps"]), where, _A_RATE, entry["fps"])
        damage = entry.get("damage")
        rule = "'damage' must be a list of lines"
        _check(damage is None or _is_names(damage), where, rule, damage)
        count = entry["num_frames"]
        frames = f"'num_frames' must be 1 or more (and at most {_MOST_FRAMES:,})"
        _check(_is_int(count) and 0 < count <= _MOST_FRAMES, where, frames, count)
        _check(_is_id(entry["video"]), where, "'video' must be an id without `..`", entry["video"])
        _check(entry["video"] not in videos, where, "a second video with the id", entry["video"])
        source = folder / source_folder(entry["source"])
        found = entry["video"] in packed or _exists(source)
        _check(found, where, "there is no source (file or folder)", str(source))
        if count > _MANY_FRAMES and entry["video"] not in packed:
            _check_many(source, count, where)
        labels = entry.get("labels")
        if labels is not None:
            labels = _check_labels(labels, count, num_classes, label_kind, where)
        read = {"fps": float(entry["fps"]), "labels": labels, "damage": damage and tuple(damage)}
        videos[entry["video"]] = Video(**{**entry, **read})
    if not videos:
        raise UserError(f"{path}: no video in it; a line for each video is needed")
    return tuple(videos.values())


def _check_many(source: Path, count: int, where: str) -> None:
    """Looks at the last frame first: nothing should go through a billion of which six are there."""
    if source.is_dir() and not _exists(source / FRAME_NAME.format(count - 1)):
        there = len(os.listdir(source))
        _check(
            2 * there > count, where, f"'num_frames' is {count:,}, but {source} holds {there} files"
        )


def _check_labels(
    labels: Any, num_frames: int, num_classes: int, label_kind: str, where: str
) -> tuple:
    _check(isinstance(labels, list), where, "'labels' must be a list with an entry for each frame")
    ratio = len(labels) / num_frames
    rates = ""
    if ratio >= 2 and abs(ratio - round(ratio)) < 0.05:
        rates = f": they are {round(ratio)} times as many; is it their rate that differs?"
    _check(
        len(labels) == num_frames,
        where,
        f"{len(labels)} labels for {counted(num_frames, 'frame')}; there must be one for each"
        f" frame{rates}",
    )
    for frame, label in enumerate(labels):
        if _is_int(label) and label == UNLABELLED:
            continue
        if label_kind == "single":
            shaped, class_ids = _is_int(label), [label]
        else:
            shaped, class_ids = isinstance(label, list) and _are_distinct(label), label
        _check(
            shaped and all(_is_int(i) and 0 <= i < num_classes for i in class_ids),
            where,
            f"label of frame {frame} must be "
            + ("a class id" if label_kind == "single" else "a list of class ids, each once,")
            + f" from 0 to {num_classes - 1}, or {UNLABELLED} for none",
            label,
        )
    return tuple(tuple(label) if isinstance(label, list) else label for label in labels)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(_MISSING.format(path)) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        entry = parse(text)
    except ValueError as error:
        raise UserError(f"{where}: not JSON: {error}") from None
    _check(isinstance(entry, dict), where, "must be a JSON object {...}")
    return entry


def _check_keys(entry: dict, required: set[str], optional: set[str], where: str) -> None:
    missing = sorted(required - entry.keys())
    _check(not missing, where, "missing " + ", ".join(map(repr, missing)))
    unknown = sorted(entry.keys() - required - optional)
    known = ", ".join(sorted(required | optional))
    _check(not unknown, where, "unknown " + ", ".join(map(repr, unknown)) + f"; known: {known}")


def _check(holds: Any, where: str | Path, rule: str, found: Any = None) -> None:
    if not holds:
        said = "" if found is None else f", found {found!r}"
        if len(said) > _LONGEST_FOUND:
            said = said[:_LONGEST_FOUND] + "…"
        raise UserError(f"{where}: {rule}{said}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_rate(value: Any) -> bool:
    return (_is_int(value) or isinstance(value, float)) and 0 < value <= _HIGHEST_RATE


def _is_id(video: str) -> bool:
    """Whether files that are named by a video stay in the folder that they are written to."""
    path = PurePosixPath(video.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and video.isprintable()


def _are_distinct(labels: list) -> bool:
    return all(map(_is_int, labels)) and len(set(labels)) == len(labels)


def _exists(source: Path) -> bool:
    try:
        return source.exists()
    except (OSError, ValueError):  # no path can be of such a name
        return False


def _is_names(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(name, str) and name for name in value)
        and len(set(value)) == len(value)
    )


def _without_none(video: Video) -> dict[str, Any]:
    entry = {field.name: getattr(video, field.name) for field in dataclasses.fields(video)}
    return {key: value for key, value in entry.items() if value is not None}
