"""A folder of one's own videos, and what its CSV files say of them.

Label files are CSV with a header.  In a folder, the file `<video id>.csv` is that video's.  One
file for all videos has a column `video`; it is held in memory, which suits intervals.  Each line is

  an interval           start, end (seconds, or H:MM:SS) and a label
  a second              second and a label
  a frame of the video  frame, second and a label, as `surgvista_jax.synthetic` writes them

The column of the label is `label`, or by its task `phase`, `action`, `triplets` or `tools` (several
joined by `;`), or for critical views of safety every column `cvs_…` with 0 or 1.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.data.conversion.convert import Conversion, convert
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.official import Reading, Recording, Track
from surgvista_jax.data.conversion.sources import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Remark,
    find_videos,
    name_videos,
)
from surgvista_jax.data.dataset import UNLABELLED, Dataset
from surgvista_jax.data.labels.tables import Row, read_rows, version
from surgvista_jax.data.labels.track import (
    FrameLabels,
    Interval,
    IntervalLabels,
    Label,
    overlap_notes,
)
from surgvista_jax.errors import UserError
from surgvista_jax.facts.tasks import NONE, TASKS

VIDEOS = "videos"  # the `source_format` of such datasets, and their name in `data convert`


@dataclass(frozen=True)
class VideoLabels:
    """What the user says about labels.

    Attributes:
        path: the CSV file, or the folder of CSV files; None: there are none.
        task: one of `facts.tasks.TASKS`, or "none" without labels.
        column: column of the labels; None: `label`, or that of the task.
        classes: their names in order; None: in the order in which the files name them.
        splits: a CSV file with columns `video` and `split`; None: all videos are for training.
    """

    path: Path | None = None
    task: str = "phase"
    column: str | None = None
    classes: tuple[str, ...] | None = None
    splits: Path | None = None

    @property
    def label_kind(self) -> str:
        return "single" if self.task == NONE else TASKS[self.task].label_kind

    @property
    def column_of_each_class(self) -> str:
        """How the columns begin where each class has its own; else ""."""
        usual = "" if self.task == NONE else TASKS[self.task].column
        return usual if self.column is None and usual.endswith("_") else ""


def convert_videos(
    source: Path,
    out: Path,
    config: ExtractConfig,
    num_workers: int | None = None,
    labels: VideoLabels | None = None,
) -> Conversion:
    """Makes a dataset of all videos and frame folders below a folder, with or without labels."""
    head = Dataset(
        folder=out,
        name=source.resolve().name,
        task="none" if labels is None else labels.task,
        classes=(),
        label_kind="single" if labels is None else labels.label_kind,
        fps=config.fps,
        splits={},
        procedure="",
        licence="",
        citation="",
        source_format=VIDEOS,
        videos=(),
    )
    return convert(
        head, lambda named: read_videos(source, out, named, labels), source, config, num_workers
    )


def read_videos(
    source: Path, out: Path, named: Mapping[str, str], labels: VideoLabels | None
) -> Reading:
    """Finds all videos below `source`, without searching `out`, and their labels.

    Args:
        named: ids of videos named before, by key.
    """
    search = find_videos(source, skip=out)
    if not search.videos:
        known = " ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES))
        raise UserError(f"{source}: no video and no folder of images in it; known are: {known}")
    sources = name_videos(search.videos, named)
    ids = [video.video for video in sources]
    splits = {"train": ids}
    if labels is not None and labels.splits is not None:
        splits = read_splits(labels.splits, ids)
    if labels is None or labels.path is None:
        recordings = [Recording(video) for video in sources]
        return Reading(recordings, splits, search.notes, search.problems)
    files = _LabelFiles(labels, ids)
    classes, notes = files.classes()
    recordings = [
        Recording(video, functools.partial(files.track, video.video, classes)) for video in sources
    ]
    return Reading(recordings, splits, [*search.notes, *notes], search.problems, classes)


def read_splits(path: Path, ids: Sequence[str]) -> dict[str, list[str]]:
    """Reads which split each video belongs to; a video may have lines for several schemes."""
    splits: dict[str, list[str]] = {}
    for row in read_rows(path, ("video", "split")):
        video, split = row.cells["video"].strip(), row.cells["split"].strip()
        if video not in ids:
            raise UserError(f"{row.where}: no video {video!r}; the first is {ids[0]!r}")
        if not split or video in splits.get(split, ()):
            raise UserError(f"{row.where}: must name a split, each video once in it")
        splits.setdefault(split, []).append(video)
    return splits


@dataclass(frozen=True)
class _LabelFiles:
    labels: VideoLabels
    ids: Sequence[str]

    def classes(self) -> tuple[tuple[str, ...], list[Remark]]:
        """The class names, in the order of the user or of the files."""
        told = self.labels.classes
        if told is not None:
            return told, []
        names: dict[str, None] = {}
        for video in self.ids:
            for row in self._rows(video):
                names.update(dict.fromkeys(self._names(row, self._columns(row))))
            if self.labels.column_of_each_class and names:
                break
        text = "class ids follow the order in which the files name them: " + ", ".join(names)
        return tuple(names), [Remark(str(self.labels.path), text)]

    def track(self, video: str, classes: Sequence[str]) -> Track:
        """Reads the labels of a video."""
        ids = {name: index for index, name in enumerate(classes)}
        multi = self.labels.label_kind == "multi"
        intervals: list[Interval] = []
        frames: dict[int, Label] = {}
        last_row, fps = None, 1.0
        for row in self._rows(video):
            columns = self._columns(row)
            found = self._on(row, columns)
            unknown = [name for name in found if name not in ids]
            if unknown:
                raise UserError(f"{row.where}: unknown class {unknown[0]!r}; known: {classes}")
            if "start" in row.cells:
                start, end = _seconds(row, "start"), _seconds(row, "end")
                if end <= start:
                    raise UserError(f"{row.where}: end {end:g} s is not after start {start:g} s")
                intervals += [Interval(start, end, ids[name]) for name in found]
                continue
            label = tuple(ids[name] for name in found) if multi else UNLABELLED
            if found and not multi:
                label = ids[found[0]]
            key = "frame" if "frame" in row.cells else "second"
            number = row.number(key, int)
            if number < 0 or number in frames:
                raise UserError(f"{row.where}: {key} {number} is below 0 or occurs twice")
            frames[number] = label
            last_row = row
        if intervals:
            notes = () if multi else overlap_notes(intervals)
            return IntervalLabels(tuple(intervals), multi, notes)
        if last_row is not None and "frame" in last_row.cells:
            number = max(frames)
            seconds = last_row.number("second")
            if number and seconds > 0:
                fps = _nearest_rate(last_row.number("frame") / seconds)
        return FrameLabels(frames, fps)

    def _rows(self, video: str) -> Iterator[Row]:
        path = self.labels.path
        assert path is not None
        if path.is_dir():
            yield from read_rows(path / f"{video}.csv")
            return
        by_video = _rows_by_video(path, version(path))
        for name, rows in by_video.items():
            if name not in self.ids:
                where, first = rows[0].where, self.ids[0]
                raise UserError(f"{where}: no video {name!r}; the first is {first!r}")
        yield from by_video.get(video, ())

    def _columns(self, row: Row) -> list[str]:
        cells, wanted = row.cells, self.labels.column
        if not ({"start", "end"} <= cells.keys() or "second" in cells):
            raise UserError(
                f"{row.where}: columns start and end, or second, or frame and second are needed; "
                f"there are {', '.join(cells)}"
            )
        beginning = self.labels.column_of_each_class
        if beginning:
            columns = [name for name in cells if name.startswith(beginning)]
        else:
            choices = [wanted] if wanted else [TASKS[self.labels.task].column, "label"]
            columns = [name for name in choices if name in cells][:1]
        if not columns:
            raise UserError(
                f"{row.where}: no column of labels; --column names it, there are {', '.join(cells)}"
            )
        return columns

    def _names(self, row: Row, columns: list[str]) -> list[str]:
        """All classes that a row speaks of."""
        beginning = self.labels.column_of_each_class
        if beginning:
            return [name.removeprefix(beginning) for name in columns]
        return self._on(row, columns)

    def _on(self, row: Row, columns: list[str]) -> list[str]:
        """The classes that are on."""
        beginning = self.labels.column_of_each_class
        if beginning:
            on = []
            for name in columns:
                if row.cells[name].strip() not in ("0", "1"):
                    raise UserError(f"{row.where}: column {name!r} must be 0 or 1")
                if row.cells[name].strip() == "1":
                    on.append(name.removeprefix(beginning))
            return on
        text = row.cells[columns[0]].strip()
        parts = text.split(";") if self.labels.label_kind == "multi" else [text]
        return [part.strip() for part in parts if part.strip()]


@functools.lru_cache(maxsize=1)
def _rows_by_video(path: Path, version: object) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for row in read_rows(path, ("video",)):
        rows.setdefault(row.cells["video"].strip(), []).append(row)
    return rows


def _seconds(row: Row, column: str) -> float:
    """Seconds from `12.5`, `3:07` or `1:03:07`."""
    text = row.cells[column].strip()
    if not re.fullmatch(r"(\d+:)?(\d+:)?\d+(\.\d*)?", text):
        raise UserError(f"{row.where}: column {column!r}: {text!r} is neither seconds nor H:MM:SS")
    total = 0.0
    for part in text.split(":"):
        total = 60 * total + float(part)
    return total


def _nearest_rate(fps: float) -> float:
    """The rate that a time of three decimals implies: a whole one where it is within 1 %."""
    return float(round(fps)) if abs(fps - round(fps)) < 0.01 * fps else fps
