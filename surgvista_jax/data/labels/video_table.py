"""CSV files with a line for each video: which it is, its split, its patient, its centre."""

import difflib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from surgvista_jax.data.labels.names import shown
from surgvista_jax.data.labels.tables import Row, read_rows, unguarded
from surgvista_jax.data.video_files import safe_name
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near, same_class

VIDEO = ("video", "path")  # the column that names it


class MayBeSeveral(UserError):
    """A name by which a page saves several videos."""


class VideoNames:
    """The videos of a folder by what files call them.

    That is their id, or their path below the folder or from further up, with its ending or without;
    where there is one of it only, the name of the file alone, or that by which a page saves it.
    """

    def __init__(self, folder: Path, ids: Mapping[str, str]):
        """Takes path below the folder, "/" between folders -> id."""
        self.ids = tuple(ids.values())
        self._above = tuple(map(composed, folder.resolve().parts))
        short = [(composed(key), video) for key, video in ids.items()]
        alone: dict[str, set[str]] = {}
        for key, video in short:
            for name in (PurePosixPath(key).name, PurePosixPath(key).stem):
                alone.setdefault(name, set()).add(video)
        self._known = {name: min(videos) for name, videos in alone.items() if len(videos) == 1}
        self._known |= dict(short)
        self._known |= {composed(video): video for video in self.ids}
        self._saved: dict[str, list[str]] = {}
        for video in self.ids:
            self._saved.setdefault(composed(safe_name(video)), []).append(video)

    def id_of(self, name: str, where: str) -> str:
        """The id of a video.

        Raises:
            UserError: `where` the file names none of them.
            MayBeSeveral: it may name several.
        """
        plain = composed(name.strip())
        for text in (plain, plain.replace("\\", "/"), unguarded(plain)):
            found = self._known.get(text) or self._known.get(self._below(text))
            if found is not None:
                return found
        if found := self.saved_as(plain, where):
            return found
        near = difflib.get_close_matches(plain, self.ids, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the first is {self.ids[0]!r}"
        raise UserError(f"{where}: no video {name.strip()!r}; {hint}")

    def saved_as(self, name: str, where: str) -> str | None:
        """The video whose labels a page saves by a name, as which `/` and others are `_`.

        Raises:
            MayBeSeveral: there are several.
        """
        videos = self._saved.get(composed(name), ())
        if len(videos) > 1:
            raise MayBeSeveral(
                f"{where}: may be of {' or '.join(map(repr, videos[:3]))}, which a page saves by"
                " one name; call it by the id of its video, with a folder before each `/`"
            )
        return videos[0] if videos else None

    def alike(self, video: str) -> list[str]:
        """The other videos whose labels a page would save by the name that a video has."""
        return [other for other in self._saved.get(composed(video), ()) if other != video]

    def _below(self, text: str) -> str:
        """A path from further up as one below the folder; other texts as they are."""
        parts = PurePosixPath(text).parts
        for count in range(min(len(parts) - 1, len(self._above)), 0, -1):
            if parts[:count] == self._above[-count:]:
                return "/".join(parts[count:])
        return "/".join(parts)


@dataclass
class VideoTable:
    """What a CSV file says of videos.

    Attributes:
        splits: name -> ids, in the order of the file; empty where it has no column `split`.
        patients, centres: id -> whose operation and where, where the file says it.
        notes: which spellings were taken for one name.
    """

    splits: dict[str, list[str]] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    centres: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_video_table(path: Path, names: VideoNames) -> VideoTable:
    """Reads columns `video` and any of `split`, `patient`, `centre`.

    A video may have several lines, for the splits of several schemes. Spellings of one name are
    one, as those of classes are: that which comes first, or of train, val and test the usual one.

    Raises:
        UserError: naming the line: an unknown video, one twice in a split, two patients of one.
    """
    table = VideoTable()
    told = {"patient": table.patients, "centre": table.centres}
    spelled: dict[tuple[str, str], dict[str, None]] = {
        ("split", same_class(name)): {name: None} for name in ("train", "val", "test")
    }

    def name_of(row: Row, column: str) -> str:
        text = row.cells.get(column, "").strip()
        spellings = spelled.setdefault((column, same_class(text)), {})
        spellings[text] = None
        return next(iter(spellings)) if text else ""

    any_row = False
    for row in read_rows(path):
        any_row = True
        column = video_column(path, row)
        if not {"split", *told} & row.cells.keys():
            raise UserError(
                f"{path}, line 1: no column 'split', 'patient' or 'centre', it names "
                + ", ".join(row.cells)
            )
        video = names.id_of(row.cells[column], row.where)
        if "split" in row.cells:
            split = name_of(row, "split")
            if not split or video in table.splits.get(split, ()):
                raise UserError(f"{row.where}: must name a split, each video once in it")
            table.splits.setdefault(split, []).append(video)
        for key, values in told.items():
            value = name_of(row, key)
            if value and values.setdefault(video, value) != value:
                raise UserError(
                    f"{row.where}: {key} {value!r} of {video!r}, which was {values[video]!r} above"
                )
    if not any_row:
        raise UserError(f"{path}: no line in it; a line for each video is needed")
    for (column, _), spellings in spelled.items():
        if len(spellings) > 1:
            table.notes.append(f"{column} {', '.join(map(shown, spellings))} are one")
    return table


def video_column(path: Path, row: Row) -> str:
    """The column of a row that names its video.

    Raises:
        UserError: there is none.
    """
    for column in VIDEO:
        if column in row.cells:
            return column
    hint = next(filter(None, (near(column, [*row.cells]) for column in VIDEO)), "")
    raise UserError(
        f"{path}, line 1: no column 'video' or 'path'{hint}; it names {', '.join(row.cells)}"
    )


def composed(name: str) -> str:
    """A name in one Unicode form: file systems and editors differ in it."""
    return unicodedata.normalize("NFC", name)
