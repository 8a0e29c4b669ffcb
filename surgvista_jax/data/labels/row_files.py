"""Which rows of a user's label files are of which video.

In a folder, the file `<video id>.csv` is that video's, and so is one by which a page saves its
labels, such as `a_b.csv` of `a/b`; a file that is no video's by its id, and has columns `video`,
`start` and `end`, speaks of the videos that it names.  One file for all videos
has a column `video` (or `path`); it is held in memory, which suits intervals.  Where a folder holds
no CSV file, the files of annotation tools (`timeline_files`) are read likewise.
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from surgvista_jax.counted import counted
from surgvista_jax.data.labels.coverage import named
from surgvista_jax.data.labels.row_labels import LabelColumns
from surgvista_jax.data.labels.tables import Row, read_rows, version
from surgvista_jax.data.labels.timeline_files import TIMELINES, read_timeline
from surgvista_jax.data.labels.times import renaming
from surgvista_jax.data.labels.video_table import (
    VIDEO,
    MayBeSeveral,
    VideoNames,
    composed,
    video_column,
)
from surgvista_jax.errors import UserError

# Beside a label and the name of its video, these say nothing of time.
_TIMELESS = {*VIDEO, "split", "patient", "centre"}
_CSV = ".csv"


@dataclass(frozen=True)
class RowFiles:
    """The rows of label files, by video.

    Attributes:
        path: the file, or the folder of files.
        columns: where in a row the labels are.
        videos: the videos that they may speak of.
    """

    path: Path
    columns: LabelColumns
    videos: VideoNames

    def rows(self, video: str) -> Iterator[Row]:
        """The rows of a video, in their order; none where no file or line is of it.

        Raises:
            UserError: naming file and line; a file of the video's without a row.
        """
        if not self.path.is_dir():
            for row in self._of_all([self.path]).get(video, ()):
                self._check(row, {*row.cells} - _TIMELESS - {*self.columns.of(row)})
                yield row
            return
        own = self._own
        if video not in own:
            for row in self._of_all(self._tables).get(video, ()):
                self._check(row, {*row.cells})
                yield row
            return
        for row in self._of_all(self._tables).get(video, ())[:1]:
            raise UserError(f"{row.where}: labels of {video}, which {own[video]} has too; keep one")
        any_row, named = False, set[str]()
        for row in _read(own[video], self.columns):
            any_row = True
            self._check(row, {*row.cells})
            if (name := row.cells.get(VIDEO[0], video)) not in named:
                named.add(name)
                self._check_video(row, name, video)
            yield row
        if not any_row:
            raise UserError(
                f"{own[video]}: no line with a label in it; without this file the video is "
                "unlabelled"
            )

    def spare(self) -> list[str]:
        """What to say of a folder's files that are no video's.

        Raises:
            UserError: none is of any video.
        """
        if not self.path.is_dir():
            return []
        tables, hidden = self._tables, self._named(_beside_tables(self.path))
        unread = (
            f"{counted(len(hidden), 'file is', 'files are')} not read beside .csv: {named(hidden)}"
            if hidden
            else ""
        )
        if not self._own and not tables:
            kinds = {file.suffix for file in self._others} or {_CSV}
            wanted = f"{self.path / self.videos.ids[0]}{min(kinds)}"
            there = self._named(self._others)
            said = (
                f"{self.path}: no file of any video in it; the first would be {wanted}",
                f"there are {named(there)}" if there else "",
                self._strangers(),
                unread,
            )
            raise UserError("; ".join(filter(None, said)))
        spare = self._named(self._others - {*tables})
        notes = (
            [f"{counted(len(spare), 'file is', 'files are')} of no video: {named(spare)}"]
            if spare
            else []
        )
        for video, path in self._own.items():
            notes += [
                f"{path.relative_to(self.path).as_posix()} is taken for labels of {video!r}; those"
                f" of {other!r}, which a page saves by that name, are to be {other}{path.suffix}"
                for other in self.videos.alike(video)
                if other not in self._own
            ]
        return [*notes, unread] if unread else notes

    def _named(self, files: Iterable[Path]) -> list[str]:
        return sorted(file.relative_to(self.path).as_posix() for file in files)

    @cached_property
    def _own(self) -> dict[str, Path]:
        """Video -> the file that is called as it, whichever Unicode form its name has.

        Raises:
            UserError: a video has two; a file may be of several videos.
        """
        own: dict[str, Path] = {}
        saved: list[tuple[str, Path]] = []
        videos = {composed(video): video for video in self.videos.ids}
        for file in _label_files(self.path):
            name = file.relative_to(self.path).as_posix().removesuffix(file.suffix)
            if (video := videos.get(composed(name))) is None:
                if not self._names_videos(file):
                    saved.append((name, file))
                continue
            if video in own and own[video].suffix != file.suffix:
                raise UserError(f"{file}: a second file of labels, beside {own[video].name}")
            own.setdefault(video, file)
        for name, file in saved:
            if (video := self.videos.saved_as(name, str(file))) is None:
                continue
            if video in own:
                first = own[video].relative_to(self.path).as_posix()
                raise UserError(f"{file}: a second file of labels of {video!r}, beside {first}")
            own[video] = file
        return own

    @cached_property
    def _others(self) -> set[Path]:
        taken = {composed(str(file)) for file in self._own.values()}
        return {file for file in _label_files(self.path) if composed(str(file)) not in taken}

    @cached_property
    def _tables(self) -> list[Path]:
        """The files that are no video's by their name and name videos themselves."""
        return sorted(file for file in self._others if self._names_videos(file))

    def _strangers(self) -> str:
        """Which videos the first rows of tables name, none of which is there, in words; or ""."""
        first = (_first_of_table(file) for file in sorted(self._others) if file.suffix == _CSV)
        names = sorted({row.cells[VIDEO[0]] for row in first if row is not None})
        return f"they are of {named(names)}, which --source does not hold" if names else ""

    def _names_videos(self, file: Path) -> bool:
        """Whether a file, by its first row, is a table of videos that there are."""
        return file.suffix.lower() == ".json" or self._first_video(file) is not None

    def _first_video(self, file: Path) -> str | None:
        """The video of a table's first row; None where it is none that there is."""
        first = _first_of_table(file) if file.suffix == _CSV else None
        if first is None:
            return None
        return self._id_of(first.cells[VIDEO[0]], first)

    def _id_of(self, name: str, row: Row) -> str | None:
        """The video of a name in a row; None where it is none that there is."""
        try:
            return self.videos.id_of(name, row.where)
        except MayBeSeveral:
            raise
        except UserError:
            return None

    def _of_all(self, files: list[Path]) -> dict[str, list[Row]]:
        known = tuple((file, version(file)) for file in files)
        return _rows_by_video(known, self.columns, self.videos)

    def _check_video(self, row: Row, name: str, video: str) -> None:
        """Refuses a row that names another video than its file, whose labels it would become."""
        if (told := self._id_of(name, row)) not in (None, video):
            raise UserError(
                f"{row.where}: is of {told!r}, and the file is called as video {video!r}; give it"
                " another name, or mend its lines"
            )

    def _check(self, row: Row, said: set[str]) -> None:
        """Whether a row says when: by its columns, or as whole clips do by none beside a label."""
        if said and not ({"start", "end"} <= said or "second" in said):
            raise UserError(
                f"{row.where}: columns start and end, or second, or frame and second are needed, or"
                f" of whole clips path and label alone; there are {', '.join(row.cells)}"
                f"{renaming([*row.cells])}"
            )


def _first_of_table(file: Path) -> Row | None:
    """The first row of a CSV file whose rows name their videos; None of any other file."""
    try:
        first = next(read_rows(file), None)
    except UserError:  # not CSV
        return None
    return first if first and {VIDEO[0], "start", "end"} <= first.cells.keys() else None


def _label_files(folder: Path) -> list[Path]:
    """The CSV files below a folder; where there is none, those of annotation tools."""
    files = sorted(folder.rglob("*"))
    tables = [file for file in files if file.suffix == _CSV]
    return tables or [f for f in files if f.suffix.lower() in TIMELINES and f.is_file()]


def _beside_tables(folder: Path) -> list[Path]:
    """The files of annotation tools in a folder that are not read because it holds CSV files."""
    files = _label_files(folder)
    if not files or files[0].suffix != _CSV:
        return []
    return [f for f in folder.rglob("*") if f.suffix.lower() in TIMELINES and _is_of_tool(f)]


def _is_of_tool(path: Path) -> bool:
    """Whether a file is one of labels; JSON is many things, and of Label Studio a list of tasks."""
    try:
        with open(path, "rb") as file:
            return path.suffix.lower() != ".json" or file.read(64).lstrip()[:1] == b"["
    except OSError:
        return False


def _read(path: Path, columns: LabelColumns) -> Iterator[Row]:
    if path.suffix.lower() in TIMELINES:
        return read_timeline(path, columns)
    return read_rows(path)


@functools.lru_cache(maxsize=1)
def _rows_by_video(
    files: tuple[tuple[Path, object], ...], columns: LabelColumns, names: VideoNames
) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    first: dict[str, Path] = {}
    for path, _ in files:
        for row in _read(path, columns):
            video = names.id_of(row.cells[video_column(path, row)], row.where)
            if first.setdefault(video, path) != path:
                raise UserError(
                    f"{row.where}: labels of {video}, which {first[video].name} has too; keep one"
                )
            rows.setdefault(video, []).append(row)
    return rows
