"""What a user's CSV files say of the frames of his videos.

Label files are CSV with a header.  In a folder, the file `<video id>.csv` is that video's.  One
file for all videos has a column `video` (or `path`); it is held in memory, which suits intervals.
Each line is

  an interval           start, end (seconds, or H:MM:SS) and a label
  a second              second and a label, which holds until the next second begins
  a frame of the video  frame, second and a label, as `surgvista_jax.synthetic` writes them
  a whole clip          in one file for all: path and a label, and no column of times

The column of the label is `label`, or by its task `phase`, `action`, `triplets` or `tools` (several
joined by `;`), or for critical views of safety every column `cvs_…` with 0 or 1.  What
`facts.spelling.is_unlabelled` names, such as -1 and nan, is no class.
"""

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.labels.coverage import named
from surgvista_jax.data.labels.names import ClassNames, near_equal, one_of_each, shown
from surgvista_jax.data.labels.row_labels import LabelColumns, found_in
from surgvista_jax.data.labels.tables import Row, read_rows, version
from surgvista_jax.data.labels.times import first_number, frame_rate, renaming, seconds_of
from surgvista_jax.data.labels.track import (
    FrameLabels,
    Interval,
    IntervalLabels,
    Label,
    Track,
    overlap_notes,
    whole_video,
)
from surgvista_jax.data.labels.video_table import VIDEO, VideoNames, composed, video_column
from surgvista_jax.errors import UserError

# Beside a label and the name of its video, these say nothing of time.
_TIMELESS = {*VIDEO, "split", "patient", "centre"}


@dataclass(frozen=True)
class LabelFiles:
    """Label files of a user.

    Attributes:
        path: the CSV file, or the folder of CSV files.
        columns: where in a row the labels are.
        told: class names in their order; None: in the order in which the files name them.
        videos: the videos that they may speak of.
    """

    path: Path
    columns: LabelColumns
    told: tuple[str, ...] | None
    videos: VideoNames

    def classes(self) -> tuple[tuple[str, ...], list[str]]:
        """The class names, in the order of the user or of the files; and what to say of them."""
        if self.path.is_dir() and not any(self._file(video).exists() for video in self.videos.ids):
            wanted = f"{self.path / self.videos.ids[0]}.csv"
            raise UserError(f"{self.path}: no file of any video in it; the first would be {wanted}")
        spare = self._spare() if self.path.is_dir() else []
        if self.told is not None:
            try:
                classes = ClassNames(self.told).classes
            except UserError as error:
                raise UserError(f"--classes: {error}") from None
            return classes, [*spare, *filter(None, [near_equal(classes)])]
        names: dict[str, None] = {}
        for video in self.videos.ids:
            for row in self._rows(video):
                names.update(dict.fromkeys(self.columns.names(row)))
            if self.columns.one_each and names:
                break
        classes, notes = one_of_each(names)
        if not classes:
            raise UserError(f"{self.path}: no label in it; lines that name classes are needed")
        notes += [*filter(None, [near_equal(classes)]), *spare]
        order = "class ids follow the order in which the files name them: " + ", ".join(classes)
        return classes, [order, *notes]

    def track(self, video: str, classes: tuple[str, ...]) -> Track:
        """Reads the labels of a video."""
        reading = _Reading(ClassNames(classes), self.columns, told=self.told is not None)
        any_row = False
        for row in self._rows(video):
            any_row = True
            reading.take(row)
        if not any_row:
            what = "file" if self.path.is_dir() else "line"
            return FrameLabels({}, 1.0, (f"there is no {what} of it in {self.path}: unlabelled",))
        return reading.track()

    def _rows(self, video: str) -> Iterator[Row]:
        if self.path.is_dir():
            path, any_row = self._file(video), False
            if not path.exists():
                return
            for row in read_rows(path):
                any_row = True
                self._check(row, {*row.cells})
                yield row
            if not any_row:
                raise UserError(
                    f"{path}: no line with a label in it; without this file the video is unlabelled"
                )
            return
        for row in _rows_by_video(self.path, version(self.path), self.videos).get(video, ()):
            self._check(row, {*row.cells} - _TIMELESS - {*self.columns.of(row)})
            yield row

    def _file(self, video: str) -> Path:
        """The file of a video, whichever Unicode form its name has."""
        path = self.path / f"{video}.csv"
        if not path.exists() and path.parent.is_dir():
            wanted = composed(path.name)
            path = next((p for p in path.parent.iterdir() if composed(p.name) == wanted), path)
        return path

    def _spare(self) -> list[str]:
        """What to say of files that are no video's."""
        known = {composed(f"{video}.csv") for video in self.videos.ids}
        files = (path.relative_to(self.path) for path in sorted(self.path.rglob("*.csv")))
        spare = [path.as_posix() for path in files if composed(path.as_posix()) not in known]
        return [f"{len(spare)} files are of no video: {named(spare)}"] if spare else []

    def _check(self, row: Row, said: set[str]) -> None:
        """Whether a row says when: by its columns, or as whole clips do by none beside a label."""
        if said and not ({"start", "end"} <= said or "second" in said):
            raise UserError(
                f"{row.where}: columns start and end, or second, or frame and second are needed, or"
                f" of whole clips path and label alone; there are {', '.join(row.cells)}"
                f"{renaming([*row.cells])}"
            )


class _Reading:
    """The labels of one video, row by row."""

    def __init__(self, names: ClassNames, columns: LabelColumns, *, told: bool):
        self._names, self._columns, self._told = names, columns, told
        self._intervals: list[Interval] = []
        self._frames: dict[int, Label] = {}
        self._whole: list[Label] = []
        self._rows: list[tuple[int, Row]] = []  # where they tell frame and second
        self._unlabelled: Counter[str] = Counter()
        self._respelled: dict[str, str] = {}

    def take(self, row: Row) -> None:
        """Takes in one row of the file."""
        found = found_in(row, self._columns, self._names)
        for name, class_id in found.classes:
            if self._told and name != self._names.classes[class_id]:
                self._respelled[name] = self._names.classes[class_id]
        ids = tuple(sorted({class_id for _, class_id in found.classes}))
        if found.unlabelled:
            self._unlabelled[found.unlabelled] += 1
        label: Label = ids if self._columns.multi else (ids[0] if ids else UNLABELLED)
        if found.unlabelled:
            label = UNLABELLED
        if "start" in row.cells:
            self._take_interval(row, ids, bool(found.unlabelled))
        elif "second" not in row.cells:
            if self._whole:
                raise UserError(f"{row.where}: a second line for this clip")
            self._whole.append(label)
        else:
            self._take_frame(row, label)

    def _take_interval(self, row: Row, ids: tuple[int, ...], unlabelled: bool) -> None:
        start, end = seconds_of(row, "start"), seconds_of(row, "end")
        if end <= start:
            raise UserError(f"{row.where}: end {end:g} s is not after start {start:g} s")
        if unlabelled and self._columns.multi:
            raise UserError(
                f"{row.where}: outside of intervals no class is on, so one without a label says "
                "nothing; leave it out, or write a line a second"
            )
        self._intervals += [Interval(start, end, class_id) for class_id in ids]

    def _take_frame(self, row: Row, label: Label) -> None:
        key = "frame" if "frame" in row.cells else "second"
        if key == "frame":
            number = row.number(key, int)
        else:
            seconds = seconds_of(row, key)
            if seconds % 1:
                raise UserError(
                    f"{row.where}: second {seconds:g} is not a whole one; rows of parts of a second"
                    " need a column frame too"
                )
            number = int(seconds)
        if number < 0 or number in self._frames:
            raise UserError(f"{row.where}: {key} {number} is below 0 or occurs twice")
        self._frames[number] = label
        if key == "frame":
            self._rows.append((number, row))

    def track(self) -> Track:
        """What the rows say together."""
        notes = tuple(
            f"class {shown(name)} is taken for {shown(known)}"
            for name, known in self._respelled.items()
        )
        for text, count in self._unlabelled.items():
            notes += (f"{text!r} in {count} line(s): unlabelled",)
        if self._whole:
            return _whole_clip(self._whole[0], notes)
        if self._intervals:
            overlaps = () if self._columns.multi else overlap_notes(self._intervals)
            return IntervalLabels(tuple(self._intervals), self._columns.multi, notes + overlaps)
        if not self._rows:
            return FrameLabels(self._frames, 1.0, notes)
        first = first_number(self._rows)
        fps = frame_rate([(number - first, row) for number, row in self._rows])
        if first:
            notes += (f"frames are numbered from {first}, at second 0; counted from 0 now",)
        by_number = {number - first: label for number, label in self._frames.items()}
        return FrameLabels(by_number, fps, notes)


def _whole_clip(label: Label, notes: tuple[str, ...]) -> Track:
    if label == UNLABELLED:
        return FrameLabels({}, 1.0, notes)
    if isinstance(label, tuple):
        intervals = tuple(whole_video(class_id).intervals[0] for class_id in label)
        return IntervalLabels(intervals, multi=True, notes=notes)
    return IntervalLabels(whole_video(label).intervals, notes=notes)


@functools.lru_cache(maxsize=1)
def _rows_by_video(path: Path, version: object, names: VideoNames) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for row in read_rows(path):
        video = names.id_of(row.cells[video_column(path, row)], row.where)
        rows.setdefault(video, []).append(row)
    return rows
