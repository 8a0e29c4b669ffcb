"""A folder of one's own videos, with what CSV files say of them, as a dataset."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from surgvista_jax.data.conversion.convert import Conversion, convert
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.official import Reading, Recording
from surgvista_jax.data.conversion.sources import (
    Remark,
    Search,
    find_given,
    find_videos,
    name_videos,
)
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.labels.own_csv import LabelFiles
from surgvista_jax.data.labels.row_labels import LabelColumns
from surgvista_jax.data.labels.timeline_files import TIMELINES
from surgvista_jax.data.labels.video_table import VideoNames, VideoTable, read_video_table
from surgvista_jax.data.storage.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import same_class
from surgvista_jax.parts.plan import Parts

VIDEOS = "videos"  # the `source_format` of such datasets, and their name in `data convert`


@dataclass(frozen=True)
class VideoLabels:
    """What the user says about labels.

    Attributes:
        path: the CSV file, or the folder of CSV files; None: there are none.
        task: one of `facts.tasks.TASKS`, or "none" without labels.
        column: column of the labels; None: `label`, or that of the task.
        classes: their names in order; None: in the order in which the files name them.
        splits: a CSV file with columns `video` and any of `split`, `patient` and `centre`; without
            splits all videos are for training.
    """

    path: Path | None = None
    task: str = "phase"
    column: str | None = None
    classes: tuple[str, ...] | None = None
    splits: Path | None = None

    @property
    def columns(self) -> LabelColumns:
        """Where in the files the labels are."""
        return LabelColumns(self.task, self.column, frozenset(map(same_class, self.classes or ())))


def convert_videos(
    source: Path,
    out: Path,
    config: ExtractConfig,
    num_workers: int | None = None,
    labels: VideoLabels | None = None,
    overwrite: bool = False,
    parts: Parts | None = None,
) -> Conversion:
    """Makes a dataset of all videos and frame folders below a folder, with or without labels.

    Args:
        source: the folder, or a video file, which is then the only one.
    """
    folder = source.parent if source.is_file() else source
    head = replace(
        given_dataset(source, out, config.fps),
        name=source.resolve().stem if source.is_file() else source.resolve().name,
        task="none" if labels is None else labels.task,
        label_kind="multi" if labels is not None and labels.columns.multi else "single",
    )

    def read(named: Mapping[str, str]) -> Reading:
        return read_videos(source, out, named, labels)

    return convert(head, read, folder, config, num_workers, overwrite, parts)


def convert_given(
    source: Path,
    search: Search,
    out: Path,
    config: ExtractConfig,
    check: Callable[[list[str]], None],
    overwrite: bool = False,
) -> Conversion:
    """Makes a dataset of the videos that `find_given` found; of an earlier call's none is in it.

    Args:
        source: the folder of all of them.
        check: called with their ids before anything is extracted, to refuse them.
    """
    listed: set[str] = set()

    def read(named: Mapping[str, str]) -> Reading:
        recordings = [Recording(video) for video in name_videos(search.videos, named)]
        # Who was named by an earlier call is called so still.
        listed.update(given.source.video for given in recordings)
        check(sorted(listed))
        return Reading(recordings, {}, search.notes, search.problems)

    head = given_dataset(source, out, config.fps)
    conversion = convert(head, read, source, config, overwrite=overwrite)
    videos = tuple(video for video in conversion.dataset.videos if video.video in listed)
    if not videos:
        raise UserError("; ".join(map(str, conversion.problems)))
    return replace(conversion, dataset=replace(conversion.dataset, videos=videos))


def given_dataset(source: Path, folder: Path, fps: float) -> Dataset:
    """What there is to say of videos that only a user knows, as a dataset without videos yet."""
    return Dataset(
        folder=folder,
        name=source.name,
        task="none",
        classes=(),
        label_kind="single",
        fps=fps,
        splits={},
        procedure="",
        licence="",
        citation="",
        source_format=VIDEOS,
        videos=(),
    )


def _is_read(labels: VideoLabels | None, path: Path) -> bool:
    """Whether a file among the videos holds labels, or says which videos belong together."""
    if labels is None:
        return False
    if path in (labels.splits, labels.path):
        return True
    inside = labels.path is not None and labels.path in path.parents
    return inside and path.suffix.lower() in (".csv", *TIMELINES)


def read_videos(
    source: Path, out: Path, named: Mapping[str, str], labels: VideoLabels | None
) -> Reading:
    """Finds all videos below `source`, or that one file, without searching `out`; and their labels.

    Args:
        named: ids of videos named before, by key.
    """
    folder, search = source, Search()
    if source.is_file():
        folder, search = find_given([source], skip=out)
    else:
        search = find_videos(source, skip=out, is_read=functools.partial(_is_read, labels))
    if not search.videos:
        known = " ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES))
        reasons = "".join(f"; {problem}" for problem in search.problems[:3])
        raise UserError(
            f"{source}: no video and no folder of images in it; known are: {known}{reasons}"
        )
    sources = name_videos(search.videos, named)
    names = VideoNames(folder, {video.key: video.video for video in sources})
    table = VideoTable()
    if labels is not None and labels.splits is not None:
        table = read_video_table(labels.splits, names)
    recordings = [
        Recording(
            video, patient=table.patients.get(video.video), centre=table.centres.get(video.video)
        )
        for video in sources
    ]
    said = [Remark(str(labels.splits), text) for text in table.notes] if labels else []
    splits = table.splits or {"train": list(names.ids)}
    reading = Reading(recordings, splits, [*search.notes, *said], search.problems, own=True)
    if labels is None or labels.path is None:
        return reading
    files = LabelFiles(labels.path, labels.columns, labels.classes, names)
    classes, texts = files.classes()
    labelled = [
        replace(
            recording,
            read_labels=functools.partial(files.track, recording.source.video, classes),
        )
        for recording in recordings
    ]
    notes = [*reading.notes, *(Remark(str(labels.path), text) for text in texts)]
    return replace(reading, recordings=labelled, notes=notes, classes=classes)
