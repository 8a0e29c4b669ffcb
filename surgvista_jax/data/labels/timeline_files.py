"""Label files of annotation tools, as rows of intervals: Label Studio, ELAN, subtitles.

A row has the cells `start` and `end`, the label in the column that is looked for, and in `video`
what it is of: in Label Studio's files the task, else the name of the file.

  .json  tasks of Label Studio with TimelineLabels (https://labelstud.io/tags/timelinelabels):
         frames count from 1 at `fps` of the task's data, and both ends belong to a range
  .eaf   ELAN (https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf): the tier that
         is called as the column of the labels, else the only one; of several labels, all tiers
  .srt   SubRip: the text of a subtitle is its label; of several labels, each of its lines
  .vtt   WebVTT (https://www.w3.org/TR/webvtt1/), likewise
"""

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from surgvista_jax.data.labels.elan import read_tiers
from surgvista_jax.data.labels.json_file import is_number, read_json
from surgvista_jax.data.labels.row_labels import LabelColumns
from surgvista_jax.data.labels.tables import HIGHEST, Row, read_text
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import same_class
from surgvista_jax.facts.tasks import NONE, TASKS

TIMELINES = (".json", ".eaf", ".srt", ".vtt")
_TIME = r"(?:\d{1,9}:)?\d{1,9}:\d{1,2}[.,]\d{1,9}"
_TIMES = re.compile(rf"\s*({_TIME})\s+-->\s+({_TIME})(?:\s.*)?", re.ASCII)
_SRT_MARKUP = re.compile(r"</?(?:b|i|u|s|font)\b[^>]*>|\{\\[^}]*\}", re.IGNORECASE)
_VTT_MARKUP = re.compile(r"<[^>]*>")
# Label Studio calls what was uploaded to it so: eight characters, then the file's own name.
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")


def read_timeline(path: Path, columns: LabelColumns) -> Iterator[Row]:
    """The rows of a file whose suffix is one of `TIMELINES`.

    Raises:
        UserError: naming line, task or tier; labels that have a column for each class.
    """
    if columns.one_each:
        raise UserError(
            f"{path}: labels of {columns.task} have a column for each class; only CSV holds them"
        )
    column = columns.column or "label"
    read = {".json": _label_studio, ".eaf": _elan}.get(path.suffix.lower(), _subtitles)
    for where, video, start, end, labels in read(path, columns):
        text = ";".join(labels) if columns.multi else " ".join(labels)
        yield Row(where, {"video": video, "start": start, "end": end, column: text})


_Interval = tuple[str, str, str, str, list[str]]  # where, video, start, end, labels


def _subtitles(path: Path, columns: LabelColumns) -> Iterator[_Interval]:
    is_vtt = path.suffix.lower() == ".vtt"
    for number, lines in _blocks(read_text(path)):
        if is_vtt and re.match(r"(WEBVTT|NOTE|STYLE|REGION)(\s|$)", lines[0]):
            continue
        numbered = int(len(lines) > 1 and lines[0].strip().isdigit())
        at = next((k for k, line in enumerate(lines[:2]) if "-->" in line), numbered)
        where = f"{path}, line {number + at}"
        found = _TIMES.fullmatch(lines[at])
        if found is None:
            raise UserError(
                f"{where}: {lines[at][:60]!r} is not `00:01:02,500 --> 00:01:07,000`, when a "
                "subtitle begins and ends"
            )
        markup = _VTT_MARKUP if is_vtt else _SRT_MARKUP
        texts = [markup.sub("", line).strip() for line in lines[at + 1 :]]
        labels = [html.unescape(text) if is_vtt else text for text in texts if text]
        yield where, path.stem, found[1], found[2], labels


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines between empty ones, and the number of the first."""
    block: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _elan(path: Path, columns: LabelColumns) -> Iterator[_Interval]:
    tiers = read_tiers(path)
    filled = [name for name, annotations in tiers.items() if annotations]
    if not filled:
        raise UserError(f"{path}: no tier of it has an annotation with a time")
    usual = TASKS[columns.task].column if columns.task != NONE else ""
    wanted = [columns.column] if columns.column else [usual, "label", columns.task]
    keys = {same_class(name): name for name in reversed(filled)}
    found = next((keys[same_class(w)] for w in wanted if w and same_class(w) in keys), None)
    if found is not None:
        taken = [found]
    elif len(filled) == 1 and not columns.column or columns.multi and not columns.column:
        taken = filled
    else:
        listed = ", ".join(map(repr, filled))
        raise UserError(
            f"{path}: no tier {wanted[0]!r}; --column names the tier of the labels, there are "
            f"{listed}"
        )
    for name in taken:
        for line, start, end, text in tiers[name]:
            yield f"{path}, line {line}", path.stem, str(start / 1000), str(end / 1000), [text]


def _label_studio(path: Path, columns: LabelColumns) -> Iterator[_Interval]:
    held = read_json(path)
    tasks = held if isinstance(held, list) else [held]
    if not tasks or not all(
        isinstance(t, Mapping) and isinstance(t.get("data"), Mapping) for t in tasks
    ):
        raise UserError(f"{path}: not tasks of Label Studio; export them as JSON (not JSON-MIN)")
    any_annotation = False
    for number, task in enumerate(tasks, start=1):
        where = f"{path}, task {number}"
        results = _results(task, where)
        any_annotation |= results is not None
        for place, result in enumerate(results or (), start=1):
            if isinstance(result, Mapping) and result.get("type") == "timelinelabels":
                yield from _regions(task["data"], result, f"{where}, result {place}")
    if not any_annotation:
        raise UserError(f"{path}: no task of it is annotated; predictions are not taken for labels")


def _results(task: Mapping[str, Any], where: str) -> list[Any] | None:
    """The results of a task's only annotation; None where it has none."""
    annotations = task.get("annotations") or []
    if not isinstance(annotations, list) or not all(isinstance(a, Mapping) for a in annotations):
        raise UserError(f"{where}: `annotations` must be a list of objects")
    done = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    if len(done) > 1:
        raise UserError(f"{where}: has {len(done)} annotations; keep the one that counts")
    if not done:
        return None
    results = done[0].get("result")
    if not isinstance(results, list):
        raise UserError(f"{where}: its annotation has no list `result`")
    return results


def _regions(data: Mapping[str, Any], result: Mapping[str, Any], where: str) -> Iterator[_Interval]:
    value = result.get("value")
    value = value if isinstance(value, Mapping) else {}
    labels, ranges = value.get("timelinelabels"), value.get("ranges")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UserError(f"{where}: `timelinelabels` must be a list of names, is {labels!r:.60}")
    if not isinstance(ranges, list) or not ranges:
        raise UserError(f"{where}: `ranges` must be a list of start and end, is {ranges!r:.60}")
    fps = _rate(data, where)
    for span in ranges:
        span = span if isinstance(span, Mapping) else {}
        start, end = span.get("start"), span.get("end")
        if type(start) is not int or type(end) is not int or not 1 <= start <= end < HIGHEST:
            raise UserError(
                f"{where}: a range must have whole numbers 1 <= start <= end, is {dict(span)!r:.60}"
            )
        yield where, _video_of(data, where), str((start - 1) / fps), str(end / fps), labels


def _rate(data: Mapping[str, Any], where: str) -> float:
    told = data.get("fps")
    if isinstance(told, str) and re.fullmatch(r"\d{1,6}(\.\d+)?", told):
        told = float(told)
    rate = float(told) if isinstance(told, int | float) and is_number(told) else 0.0
    if rate <= 0:
        raise UserError(
            f"{where}: the task's data must tell `fps`, the frameRate of the project's Video tag,"
            f" not {told!r:.60}"
        )
    return rate


def _video_of(data: Mapping[str, Any], where: str) -> str:
    """What a task calls its video: as the page wrote it, or by its place in Label Studio."""
    if isinstance(own := data.get("surgvista_video"), str):
        return own
    place = data.get("video")
    if not isinstance(place, str) or not place.strip():
        raise UserError(f"{where}: the task's data must tell `video`, the file or its place")
    parts = urlsplit(place)
    inner = parse_qs(parts.query).get("d", [])  # local files: /data/local-files/?d=FOLDER/NAME
    known = inner[0] if inner else unquote(parts.path) if "/" in place else place
    path = PurePosixPath(known)
    if "/upload/" in place:
        return _UPLOADED.sub("", path.name)
    return path.name if "://" in place or inner else known
