"""What a user's label files say of the frames of his videos.

Label files are CSV with a header, or those of annotation tools (`timeline_files`), whose rows are
intervals.  Which rows are of which video, `row_files` says.  Each line is

  an interval           start, end (seconds, or H:MM:SS) and a label
  a second              second and a label, which holds until the next second begins
  a frame of the video  frame, second and a label, as `surgvista_jax.synthetic` writes them
  a whole clip          in one file for all: path and a label, and no column of times

The column of the label is `label`, or by its task `phase`, `action`, `triplets` or `tools` (several
joined by `;`), or for critical views of safety every column `cvs_…` with 0 or 1.  What
`facts.spelling.is_unlabelled` names, such as -1 and nan, is no class.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.labels.names import ClassNames, near_equal, one_of_each, shown
from surgvista_jax.data.labels.row_files import RowFiles
from surgvista_jax.data.labels.row_labels import LabelColumns, found_in
from surgvista_jax.data.labels.tables import Row
from surgvista_jax.data.labels.times import first_number, frame_rate, seconds_of
from surgvista_jax.data.labels.track import (
    FrameLabels,
    Interval,
    IntervalLabels,
    Label,
    Track,
    overlap_notes,
    whole_video,
)
from surgvista_jax.data.labels.video_table import VideoNames
from surgvista_jax.errors import UserError


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

    @cached_property
    def _files(self) -> RowFiles:
        return RowFiles(self.path, self.columns, self.videos)

    def classes(self) -> tuple[tuple[str, ...], list[str]]:
        """The class names, in the order of the user or of the files; and what to say of them."""
        spare = self._files.spare()
        if self.told is not None:
            try:
                classes = ClassNames(self.told).classes
            except UserError as error:
                raise UserError(f"--classes: {error}") from None
            return classes, [*spare, *filter(None, [near_equal(classes)])]
        names: dict[str, None] = {}
        for video in self.videos.ids:
            for row in self._files.rows(video):
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
        for row in self._files.rows(video):
            any_row = True
            reading.take(row)
        if not any_row:
            what = "file" if self.path.is_dir() else "line"
            return FrameLabels({}, 1.0, (f"there is no {what} of it in {self.path}: unlabelled",))
        return reading.track()


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
