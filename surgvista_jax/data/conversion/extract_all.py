"""From many videos to the frame folders of one dataset, resuming where it was stopped.

    OUT/frames/<video id>/000000.jpg    finished videos
    OUT/.convert/journal.jsonl          which these are
    OUT/.convert/written.jsonl          what was written, and may be replaced
    OUT/.convert/partial/               videos being extracted

A video's frames are moved to `frames/` when all are written, and then it is entered in the journal.
"""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
from tqdm import tqdm

from surgvista_jax.cores import available_cores
from surgvista_jax.counted import counted
from surgvista_jax.data import workers
from surgvista_jax.data.conversion.extract import (
    READER,
    ExtractConfig,
    Extracted,
    extract,
    folder_fps,
)
from surgvista_jax.data.conversion.journal import Finished, Journal
from surgvista_jax.data.conversion.placing import FrameFolders, checksums, clear_partial
from surgvista_jax.data.conversion.remarks import damage_of, remarks_on, told_once
from surgvista_jax.data.conversion.sources import Remark, SourceVideo
from surgvista_jax.data.conversion.state import STATE_FOLDER
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.open import FRAME_NAME
from surgvista_jax.data.storage.video_stream import UnreadableVideo
from surgvista_jax.errors import UserError
from surgvista_jax.ownership import Ownership
from surgvista_jax.writing import writing_to


@dataclass
class Extraction:
    """The result of an extraction.

    Attributes:
        videos: id -> manifest entry without labels of every finished video.
        num_extracted: how many of them were extracted now.
        problems: videos that could not be read, or not to their end.
        notes: what else should be known about videos.
    """

    videos: dict[str, Video] = field(default_factory=dict)
    num_extracted: int = 0
    problems: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)


class _Done(NamedTuple):
    """A video whose frames are all written, and their checksums."""

    extracted: Extracted
    checksums: str


@dataclass(frozen=True)
class _Job:
    source: SourceVideo
    partial: Path
    config: ExtractConfig
    threads: int


def extract_all(
    sources: Sequence[SourceVideo],
    owned: Ownership,
    journal: Journal,
    config: ExtractConfig,
    num_workers: int,
) -> Extraction:
    """Extracts the videos that the journal lacks.

    Args:
        owned: of the output folder.

    Raises:
        UserError: the disk is full; `config.source_fps` differs from that of finished videos;
            something is in a video's place that may not be replaced.
    """
    out, folders = owned.folder, FrameFolders(owned, journal.finished)
    done = {source.video for source in sources if _is_done(source, out, journal)}
    for source in sources:
        if source.video in done:
            _check_source_fps(source, journal.finished[source.video].extracted, config)
    partial = out / STATE_FOLDER / "partial"
    clear_partial(partial)
    remaining = [source for source in sources if source.video not in done]
    with writing_to(out):
        for source in remaining:
            folders.check(source.video)
    num_workers = min(num_workers, len(remaining))
    jobs = [
        _Job(
            source,
            partial / f"{os.getpid()}.{number}",
            config,
            threads=max(1, available_cores() // num_workers),
        )
        for number, source in enumerate(remaining)
    ]
    extraction = Extraction()
    watched = sys.stderr.isatty()
    interval = 0.5 if watched else 30.0  # seconds; a log file needs few lines
    bar = tqdm(
        total=len(sources),
        initial=len(done),
        unit="video",
        mininterval=interval,
        leave=not watched,  # on a terminal nothing of it stays, also of one that is interrupted
    )

    def show(number: int, num_frames: int) -> None:
        video = remaining[number].video
        bar.set_postfix_str(f"{video}: {counted(num_frames, 'frame')}", refresh=watched)

    try:
        with bar, closing(workers.run_each(_run, jobs, num_workers, show)) as results:
            for number, result in results:
                _take_in(jobs[number], result, folders, journal, extraction)
                bar.update()
    finally:
        clear_partial(partial)
    for entry in journal.finished.values():
        if _in_place(entry, out):
            extraction.videos[entry.video] = Video(
                video=entry.video,
                source=f"frames/{entry.video}",
                fps=entry.extracted.fps,
                num_frames=entry.extracted.num_frames,
                damage=damage_of(entry.extracted) or None,
            )
    _remark_on_reader(sources, out, journal, extraction)
    for source in sources:
        if source.video in extraction.videos:
            problems, notes = remarks_on(
                source, journal.finished[source.video].extracted, config.fps
            )
            extraction.problems += problems
            extraction.notes += notes
    extraction.problems.sort()
    extraction.notes = told_once(extraction.notes)
    return extraction


def _run(job: _Job, report: Callable[[int], None]) -> _Done | UnreadableVideo | OSError:
    """Extracts one video in a worker; an OSError is the output's fault."""
    cv2.setNumThreads(0)  # the processes keep all cores busy
    try:
        job.partial.mkdir(parents=True)
        found = extract(job.source, job.partial, job.config, threads=job.threads, report=report)
        return _Done(found, checksums(job.partial, found.num_frames))
    except (UnreadableVideo, OSError) as error:
        return error
    except cv2.error as error:
        return UnreadableVideo(f"OpenCV fails on it: {error.err}")


def _take_in(
    job: _Job,
    result: _Done | workers.Crash | UnreadableVideo | OSError,
    folders: FrameFolders,
    journal: Journal,
    extraction: Extraction,
) -> None:
    source = job.source
    try:
        if isinstance(result, OSError):
            raise result
        if isinstance(result, _Done):
            found = result.extracted
            folders.install(job.partial, source.video, found.num_frames, result.checksums)
            journal.append(Finished(source.key, source.video, source.size, found))
            extraction.num_extracted += 1
        else:
            shutil.rmtree(job.partial, ignore_errors=True)
            extraction.problems.append(Remark(str(source.path), str(result)))
    except OSError as error:
        raise UserError(
            f"{folders.owned.folder}: {error.strerror} while writing video {source.video!r}; the "
            f"{counted(len(journal.finished), 'finished video is', 'finished videos are')} kept:"
            " solve that and run the same "
            "command again"
        ) from None


def _in_place(entry: Finished, out: Path) -> bool:
    last = FRAME_NAME.format(entry.extracted.num_frames - 1)
    return (out / "frames" / entry.video / last).is_file()


def _is_done(source: SourceVideo, out: Path, journal: Journal) -> bool:
    entry = journal.finished.get(source.video)
    return entry is not None and entry.is_of(source) and _in_place(entry, out)


def _check_source_fps(source: SourceVideo, extracted: Extracted, config: ExtractConfig) -> None:
    if extracted.native_fps_told:
        return
    native_fps = folder_fps(source, config) if source.is_folder else config.source_fps
    if native_fps != extracted.native_fps:
        raise UserError(
            f"{source.path}: was extracted as a video of {extracted.native_fps:g} fps; give "
            f"--source-fps {extracted.native_fps:g} again, or another --out"
        )


def _remark_on_reader(
    sources: Sequence[SourceVideo], out: Path, journal: Journal, extraction: Extraction
) -> None:
    old = [
        source.video
        for source in sources
        if source.video in extraction.videos
        and not source.is_folder
        and journal.finished[source.video].extracted.reader != READER
    ]
    if old:
        text = (
            f"{counted(len(old), 'video')}, such as {old[0]}, extracted by an earlier version,"
            " which did not go by time stamps; another --out extracts anew"
        )
        extraction.notes.append(Remark(str(out), text))
