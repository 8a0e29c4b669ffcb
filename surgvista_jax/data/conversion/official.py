"""What a dataset's reader knows of it: its facts, its files, its splits."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.sources import (
    Remark,
    SourceVideo,
    find_videos,
)
from surgvista_jax.data.labels.track import Track
from surgvista_jax.data.storage.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from surgvista_jax.errors import UserError
from surgvista_jax.facts.splits import Part


@dataclass(frozen=True)
class Counts:
    """Published numbers of videos and of frames; None where none is published."""

    videos: int | None
    frames: int | None = None


def counts(parts: Mapping[str, Part], *names: str) -> dict[str, Counts]:
    """The published numbers of these splits; without names, of all."""
    chosen = {name: parts[name] for name in names or parts}
    return {name: Counts(len(part.numbers), part.frames) for name, part in chosen.items()}


def split_ids(parts: Mapping[str, Part], form: str) -> dict[str, tuple[str, ...]]:
    """Split -> ids of its videos, which are their numbers in a form such as "video{:02d}"."""
    return {name: tuple(map(form.format, part.numbers)) for name, part in parts.items()}


@dataclass(frozen=True)
class Recording:
    """A video of the official files.

    Attributes:
        source: where its frames are.
        read_labels: reads its label file, each time anew; None for a video without labels.
        numbered: the labels refer to the numbers in the names of its images, not to times.
    """

    source: SourceVideo
    read_labels: Callable[[], Track] | None = None
    numbered: bool = False
    patient: str | None = None
    centre: str | None = None


@dataclass(frozen=True)
class Reading:
    """What a reader found below a folder.

    Attributes:
        recordings: its videos.
        splits: name -> ids; ids that no recording has are those of missing videos.
        notes: what was normalised, and what is missing.
        problems: what could not be read.
        classes: the classes, where only the files tell them.
        min_frames: videos of fewer frames are left out.
        own: videos and labels are a user's own, so that a folder of images may begin with any
            number: that of the first is the start of its labels.
    """

    recordings: Sequence[Recording]
    splits: Mapping[str, Sequence[str]]
    notes: Sequence[Remark] = ()
    problems: Sequence[Remark] = ()
    classes: tuple[str, ...] | None = None
    min_frames: int = 1
    own: bool = False


@dataclass(frozen=True)
class Official:
    """A dataset as its authors distribute it.

    A split's name may begin with a scheme, as in `fold1/train`; within a scheme the splits share no
    video.  `train`, `val` and `test` without a scheme are the usual ones.

    Attributes:
        name: what the command line calls it.
        title: what its paper calls it.
        task, classes, label_kind: as in `dataset.json`.
        read: reads the official files below a folder; raises UserError.
        layout: the folder layout that `read` expects, as a tree.
        procedure: the operations shown; this and the next may be unsaid of data of one's own.
        centre: where they were recorded.
        access: where to ask for it.
        published: split -> counts.
        extract: how frames are taken from it.
    """

    name: str
    title: str
    task: str
    classes: tuple[str, ...]
    read: Callable[[Path], Reading]
    layout: str
    procedure: str = ""
    centre: str = ""
    licence: str = ""
    access: str = ""
    citation: str = ""
    label_kind: str = "single"
    published: Mapping[str, Counts] = field(default_factory=dict)
    extract: ExtractConfig = field(default_factory=ExtractConfig)


def find_source(
    folder: Path, video: str, places: Sequence[str], fps: float | None = None
) -> SourceVideo | None:
    """The first of several places below a folder that holds a video or a folder of its frames.

    Args:
        folder: the dataset's official folder.
        video: the id that the video gets.
        places: paths below `folder`, without extension.
        fps: rate of a folder of frames, where the dataset tells it.
    """
    for place in places:
        path = folder / place
        if path.is_dir():
            size = sum(1 for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES)
            if size:
                return SourceVideo(place, video, path, True, size, fps=fps)
        for suffix in sorted(VIDEO_SUFFIXES):
            for spelled in (suffix, suffix.upper()):
                file = path.with_name(path.name + spelled)
                if file.is_file():
                    return SourceVideo(place + spelled, video, file, False, file.stat().st_size)
    return None


def gather(
    folder: Path,
    places: Mapping[str, Sequence[str]],
    *,
    fps: float | None = None,
) -> tuple[list[SourceVideo], list[Remark]]:
    """Finds the videos of a dataset; one remark names those that are missing.

    Args:
        folder: the dataset's official folder.
        places: id -> where its video or frames may be, without extension.
        fps: rate of folders of frames.

    Raises:
        UserError: none of them is there.
    """
    if not folder.is_dir():
        there = "is a file" if folder.is_file() else "no such folder"
        raise UserError(f"{folder}: {there}; --source must be the dataset's folder")
    found, missing = [], []
    for video, where in places.items():
        source = find_source(folder, video, where, fps)
        if source is None:
            missing.append(video)
        else:
            found.append(source)
    if not found:
        first = next(iter(places.values()))
        raise UserError(
            f"{folder}: none of the dataset's videos is there, such as {' or '.join(first[:2])} "
            "(with the ending of a video, or as a folder of frames); `surgvista data list NAME` "
            "shows the folder that is expected"
        )
    return found, missing_videos(folder, missing, len(places))


def missing_videos(folder: Path, missing: Sequence[str], num_videos: int) -> list[Remark]:
    """One remark that names those of a dataset's videos that are not there, if there are any."""
    if not missing:
        return []
    shown = ", ".join(missing[:8]) + (", …" if len(missing) > 8 else "")
    text = f"{len(missing)} of {num_videos} videos are not there and left out: {shown}"
    return [Remark(str(folder), text)]


def gather_named(
    folder: Path, pattern: str, example: str, copies: str = ""
) -> tuple[list[SourceVideo], list[Remark]]:
    """Finds the videos and frame folders at any depth whose own name matches a pattern.

    A video's id is its name.  Where frames lie beside the video that they are of, the video counts.

    Args:
        folder: the dataset's official folder.
        pattern: of the names, without ending.
        example: a name, for messages.
        copies: name of the folders with the same videos in another form, which count where there is
            no other.

    Raises:
        UserError: there is none, or two have one name.
    """
    if not folder.is_dir():
        there = "is a file" if folder.is_file() else "no such folder"
        raise UserError(f"{folder}: {there}; --source must be the dataset's folder")
    search = find_videos(folder, skip=folder / ".convert")
    chosen: dict[str, SourceVideo] = {}

    def is_copy(source: SourceVideo) -> bool:
        return copies in source.path.relative_to(folder).parent.parts

    for source in sorted(search.videos, key=lambda s: (s.is_folder, is_copy(s), s.key)):
        name = source.path.name if source.is_folder else source.path.stem
        if not re.fullmatch(pattern, name) or _is_output(source.path, folder):
            continue
        before = chosen.get(name)
        if before is None:
            chosen[name] = replace(source, video=name)
        elif before.is_folder == source.is_folder and is_copy(before) == is_copy(source):
            raise UserError(f"{source.path}: a second {name}, beside {before.path}; keep one")
    if not chosen:
        raise UserError(f"{folder}: no video and no folder of frames is called such as {example}")
    return [chosen[name] for name in sorted(chosen)], search.problems


def _is_output(path: Path, folder: Path) -> bool:
    """Whether it lies in a folder that a conversion writes to, below the one that is searched."""
    parents = [parent for parent in path.parents if parent.is_relative_to(folder)]
    return any((parent / ".convert").is_dir() for parent in parents)
