"""The videos that lie below a folder, and their ids."""

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from surgvista_jax.counted import counted
from surgvista_jax.data.storage.suffixes import (
    IMAGE_SUFFIXES,
    NO_VIDEO_SUFFIXES,
    VIDEO_SUFFIXES,
)
from surgvista_jax.data.storage.video_stream import is_video
from surgvista_jax.errors import UserError
from surgvista_jax.parts.plan_file import Item

# So many files of one suffix are opened in vain; no further one is.
_MOST_IN_VAIN = 20
_NAMED = 8  # files that are passed over, by name
_AN_IMAGE = 10_000  # bytes of a video file that take about as long as one image of a folder


@dataclass(frozen=True)
class SourceVideo:
    """A video file, or a folder of images that are the frames of one video.

    Attributes:
        key: its path below the searched folder, "/" between folders.
        video: its id, the key without the extension where that is unambiguous.
        path: where it is.
        is_folder: true for a folder of images.
        size: bytes of a file, images of a folder; another size means another video.
        fps: rate of a folder's images, where the layout tells it.
        prefix: what the names of a folder's images begin with; the others are other videos'.
    """

    key: str
    video: str
    path: Path
    is_folder: bool
    size: int
    fps: float | None = None
    prefix: str = ""


@dataclass(frozen=True, order=True)
class Remark:
    """What is to be known about one file or folder, and what to do about it."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass
class Search:
    """What a search found: videos by id, what it passed over, and what it could not read."""

    videos: list[SourceVideo] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)
    problems: list[Remark] = field(default_factory=list)


def find_videos(
    folder: Path, skip: Path, is_read: Callable[[Path], bool] = lambda path: False
) -> Search:
    """Finds the video files and the folders that directly hold images, at any depth.

    Files without the suffix of a video are opened to see whether they are one; those that are none
    are named in one note.  Hidden files and folders are skipped.  Images beside video files are
    taken for pictures of the videos, not for frames.

    Args:
        folder: where to search.
        skip: a folder that is not searched.
        is_read: whether a file is none of a video but is read otherwise, and so not named.
    """
    search = Search()
    prober, passed = _Prober(), []
    for path, entries in _walk(folder, os.path.realpath(skip), search.problems):
        images = [entry for entry in entries if _is_image(entry)]
        videos = [entry for entry in entries if _is_video(entry) or prober.is_video(entry)]
        taken = {entry.name for entry in (*images, *videos)}
        passed += [e for e in entries if e.name not in taken and e.is_file()]
        for entry in videos:
            size = entry.stat().st_size if entry.is_file() else 0
            search.videos.append(_unnamed(folder, Path(entry.path), False, size))
        if images and videos:
            text = (
                f"{counted(len(images), 'image is', 'images are')} beside video files, and not"
                " taken for frames; if they are "
                "frames, move them to a folder of their own"
            )
            search.notes.append(Remark(str(path), text))
        elif images:
            search.videos.append(_unnamed(folder, path, True, len(images)))
    others = [path for path in (Path(entry.path) for entry in passed) if not is_read(path)]
    if others:
        names = [path.relative_to(folder).as_posix() for path in others]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        text = f"files that are no videos were passed over: {', '.join(names[:_NAMED])}{more}"
        search.notes.append(Remark(str(folder), text))
    search.videos = name_videos(search.videos, named={})
    return search


def find_given(paths: Sequence[Path], skip: Path) -> tuple[Path, Search]:
    """Finds the videos that a user lists: files, folders of them and folders of frames.

    Returns:
        The folder that holds all of them, below which their keys are paths; and what was found.

    Raises:
        UserError: there is no such file or folder, or it is not a video.
    """
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        if path.is_file() and path.suffix.lower() not in VIDEO_SUFFIXES and not is_video(path):
            raise UserError(f"{path}: is not a video; no moving pictures are in it")
    whole = [Path(os.path.abspath(path)) for path in paths]  # keys must not begin with `..`
    above = [path if path.is_dir() and len(paths) == 1 else path.parent for path in whole]
    common = Path(os.path.commonpath(above))
    search = Search()
    found: dict[str, SourceVideo] = {}
    for path in whole:
        if path.is_dir():
            below = find_videos(path, skip)
            search.notes += below.notes
            search.problems += below.problems
            listed = [(video.path, video.is_folder, video.size) for video in below.videos]
        else:
            listed = [(path, False, path.stat().st_size)]
        for each in listed:
            video = _unnamed(common, *each)
            if why := _unusable(video.key):
                search.problems.append(Remark(ascii(str(each[0]))[1:-1], why))
            else:
                found[video.key] = video
    search.videos = name_videos(found.values(), named={})
    return common, search


def name_videos(sources: Iterable[SourceVideo], named: Mapping[str, str]) -> list[SourceVideo]:
    """Gives every video its id, and sorts by it.

    The id is the key without extension, or with it where two videos would share an id.

    Args:
        sources: the videos of one folder.
        named: key -> id of videos that have been named before; they keep their ids.
    """
    sources = list(sources)
    ids = {}
    for source in sources:
        short = source.key
        if source.key == ".":
            short = source.path.resolve().name
        elif not source.is_folder:
            short = PurePosixPath(source.key).with_suffix("").as_posix()
        ids[source.key] = named.get(source.key, short)
    while True:
        counts = Counter(ids.values())
        clashing = [key for key in ids if counts[ids[key]] > 1 and key not in (*named, ids[key])]
        if not clashing:
            break
        for key in clashing:
            ids[key] = key if key != "." else f"{ids[key]}_frames"
    return sorted(
        (replace(source, video=ids[source.key]) for source in sources),
        key=lambda source: source.video,
    )


def items_of(sources: Sequence[SourceVideo]) -> list[Item]:
    """What is divided: ids, with bytes of video files and what images of folders count for."""
    return [(s.video, s.size * _AN_IMAGE if s.is_folder else s.size) for s in sources]


def frame_files(folder: Path, prefix: str = "") -> list[Path]:
    """The images of a frame folder in their order; numbers in names are compared as numbers."""
    names = [entry.name for entry in os.scandir(folder) if _is_image(entry)]
    names = [name for name in names if name.startswith(prefix)]
    return [folder / name for name in sorted(names, key=lambda name: (_natural(name), name))]


def same_number(files: Iterable[Path]) -> tuple[Path, Path] | None:
    """Two of the images that are called alike but for zeros and suffix, as 000003.jpg and 3.png."""
    first: dict[str, Path] = {}
    for path in files:
        name = re.sub(r"[0-9]+", lambda digits: digits[0].lstrip("0") or "0", path.stem)
        if name in first:
            return first[name], path
        first[name] = path
    return None


def _unnamed(folder: Path, path: Path, is_folder: bool, size: int) -> SourceVideo:
    return SourceVideo(path.relative_to(folder).as_posix(), "", path, is_folder, size)


def _walk(
    folder: Path, skip: str, problems: list[Remark], ancestors: tuple[str, ...] = ()
) -> Iterator[tuple[Path, list[os.DirEntry]]]:
    """Yields every folder with what it holds; follows links, but not in cycles."""
    real = os.path.realpath(folder)
    if real == skip or real in ancestors:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        text = f"the folder cannot be searched: {error.strerror}"
        problems.append(Remark(str(folder), text))
        return
    visible = []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if why := _unusable(entry.name):
            problems.append(Remark(ascii(entry.path)[1:-1], why))
        else:
            visible.append(entry)
    yield folder, visible
    for entry in visible:
        if entry.is_dir():
            yield from _walk(Path(entry.path), skip, problems, (*ancestors, real))


def _unusable(name: str) -> str:
    """Why no video can be called so, in words; "" where one can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename it"
    return "" if name.isprintable() else "its name cannot be printed; rename it"


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _suffix(entry: os.DirEntry) -> str:
    return os.path.splitext(entry.name)[1].lower()


def _is_image(entry: os.DirEntry) -> bool:
    hidden = entry.name.startswith(".")
    return not hidden and _suffix(entry) in IMAGE_SUFFIXES and entry.is_file()


class _Prober:
    """Tells of files with any suffix whether they are videos, and gives up on suffixes in vain."""

    def __init__(self) -> None:
        self._in_vain: Counter[str] = Counter()

    def is_video(self, entry: os.DirEntry) -> bool:
        suffix = _suffix(entry)
        known = suffix in NO_VIDEO_SUFFIXES | IMAGE_SUFFIXES | VIDEO_SUFFIXES
        if known or self._in_vain[suffix] >= _MOST_IN_VAIN or not entry.is_file():
            return False
        if is_video(Path(entry.path)):
            self._in_vain[suffix] = -sys.maxsize  # there are some, so that each is looked at
            return True
        self._in_vain[suffix] += 1
        return False


def _is_video(entry: os.DirEntry) -> bool:
    # A link that leads nowhere counts, so that it is listed as unreadable instead of overlooked.
    return _suffix(entry) in VIDEO_SUFFIXES and (
        entry.is_file() or (entry.is_symlink() and not entry.is_dir())
    )
