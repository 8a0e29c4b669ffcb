"""From many videos to the frame folders of one dataset, resuming where it was stopped.

    OUT/frames/<video id>/000000.jpg    finished videos
    OUT/.convert/journal.jsonl          which these are
    OUT/.convert/partial/               videos being extracted

A video's frames are moved to `frames/` when all are written, and then it is entered in the journal.
"""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
from tqdm import tqdm

from surgvista_jax.data import workers
from surgvista_jax.data.conversion.extract import (
    READER,
    ExtractConfig,
    Extracted,
    extract,
    folder_fps,
)
from surgvista_jax.data.conversion.journal import Finished, Journal
from surgvista_jax.data.conversion.sources import Remark, SourceVideo
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.open import FRAME_NAME
from surgvista_jax.data.storage.video_stream import UnreadableVideo
from surgvista_jax.errors import UserError
from surgvista_jax.writing import writing_to

STATE_FOLDER = ".convert"
SAID_OF_EACH = 3  # videos of which the same is said one by one


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


@dataclass(frozen=True)
class _Job:
    source: SourceVideo
    partial: Path
    config: ExtractConfig
    threads: int


def open_journal(out: Path, source_format: str, source: Path, config: ExtractConfig) -> Journal:
    """Opens the journal of an output folder.

    Raises:
        UserError: the folder cannot be written, is another dataset's, or had other settings.
    """
    path = out / STATE_FOLDER / "journal.jsonl"
    if (out / "dataset.json").exists() and not path.exists():
        raise UserError(
            f"{out}: holds a dataset that this command has not written; give another --out"
        )
    settings = {
        "format": source_format,
        "source": str(source.resolve()),
        "fps": config.fps,
        "short_side": config.short_side,
    }
    if config.cut_margins:
        settings["cut_margins"] = True
    default = ExtractConfig()
    for key in ("clock", "stream", "deinterlace"):  # earlier journals do not have them
        if getattr(config, key) != getattr(default, key):
            settings[key] = getattr(config, key)
    with writing_to(out):
        return Journal(path, settings)


def extract_all(
    sources: Sequence[SourceVideo],
    out: Path,
    journal: Journal,
    config: ExtractConfig,
    num_workers: int,
) -> Extraction:
    """Extracts the videos that the journal lacks.

    Raises:
        UserError: the disk is full; or `config.source_fps` differs from that of
            finished videos.
    """
    done = {source.video for source in sources if _is_done(source, out, journal)}
    for source in sources:
        if source.video in done:
            _check_source_fps(source, journal.finished[source.video].extracted, config)
    partial = out / STATE_FOLDER / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    remaining = [source for source in sources if source.video not in done]
    num_workers = min(num_workers, len(remaining))
    jobs = [
        _Job(
            source,
            partial / f"{os.getpid()}.{number}",
            config,
            threads=max(1, workers.available_cores() // num_workers),
        )
        for number, source in enumerate(remaining)
    ]
    extraction = Extraction()
    watched = sys.stderr.isatty()
    interval = 0.5 if watched else 30.0  # seconds; a log file needs few lines
    bar = tqdm(total=len(sources), initial=len(done), unit="video", mininterval=interval)

    def show(number: int, num_frames: int) -> None:
        video = remaining[number].video
        bar.set_postfix_str(f"{video}: {num_frames} frames", refresh=watched)

    results = workers.run_each(_run, jobs, num_workers, show)
    try:
        for number, result in results:
            _take_in(jobs[number], result, out, journal, extraction)
            bar.update()
    finally:
        results.close()
        bar.close()
        shutil.rmtree(partial, ignore_errors=True)
    for entry in journal.finished.values():
        if _in_place(entry, out):
            extraction.videos[entry.video] = Video(
                video=entry.video,
                source=f"frames/{entry.video}",
                fps=entry.extracted.fps,
                num_frames=entry.extracted.num_frames,
            )
    _remark_on_reader(sources, out, journal, extraction)
    for source in sources:
        if source.video in extraction.videos:
            _remark(source, journal.finished[source.video].extracted, config, extraction)
    extraction.problems.sort()
    extraction.notes = _merged(extraction.notes)
    return extraction


def _run(job: _Job, report: Callable[[int], None]) -> Extracted | UnreadableVideo | OSError:
    """Extracts one video in a worker; an OSError is the output's fault."""
    cv2.setNumThreads(0)  # the processes keep all cores busy
    try:
        job.partial.mkdir(parents=True)
        return extract(job.source, job.partial, job.config, threads=job.threads, report=report)
    except (UnreadableVideo, OSError) as error:
        return error
    except cv2.error as error:
        return UnreadableVideo(f"OpenCV fails on it: {error.err}")


def _take_in(
    job: _Job,
    result: Extracted | workers.Crash | UnreadableVideo | OSError,
    out: Path,
    journal: Journal,
    extraction: Extraction,
) -> None:
    source = job.source
    try:
        if isinstance(result, OSError):
            raise result
        if isinstance(result, Extracted):
            _install(job.partial, out / "frames" / source.video)
            journal.append(Finished(source.key, source.video, source.size, result))
            extraction.num_extracted += 1
        else:
            shutil.rmtree(job.partial, ignore_errors=True)
            extraction.problems.append(Remark(str(source.path), str(result)))
    except OSError as error:
        raise UserError(
            f"{out}: {error.strerror} while writing video {source.video!r}; the "
            f"{len(journal.finished)} finished videos are kept: solve that and run the same "
            "command again"
        ) from None


def _install(partial: Path, final: Path) -> None:
    """Moves a complete video to its place, over what is left of an older version."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if not final.exists():
        os.rename(partial, final)
        return
    # Not removed whole: a video "a" may have the frames of a video "a/b" below its own.
    for path in final.iterdir():
        if not path.is_dir():
            path.unlink()
    for path in partial.iterdir():
        os.rename(path, final / path.name)


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


def _merged(notes: Sequence[Remark]) -> list[Remark]:
    """One note for what holds of many videos, instead of one for each."""
    by_text: dict[str, list[Remark]] = {}
    for note in notes:
        by_text.setdefault(note.text, []).append(note)
    merged = []
    for text, same in by_text.items():
        if len(same) > SAID_OF_EACH:
            merged.append(Remark(f"{len(same)} videos, such as {same[0].path}", text))
        else:
            merged += same
    return merged


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
            f"{len(old)} videos, such as {old[0]}, were extracted by an earlier version, which did "
            "not go by their time stamps; another --out extracts them anew"
        )
        extraction.notes.append(Remark(str(out), text))


def _remark(
    source: SourceVideo, extracted: Extracted, config: ExtractConfig, extraction: Extraction
) -> None:
    promised, read = extracted.frames_promised, extracted.frames_read
    problems = list(extracted.problems)
    if extracted.is_short:
        problems = [
            f"its header promises {promised} frames, {read} could be read and are kept; is the "
            "file cut short? Replace it by a whole one"
        ]
    extraction.problems += [Remark(str(source.path), text) for text in problems]
    extraction.notes += [Remark(str(source.path), text) for text in extracted.notes]
    if extracted.is_long:
        text = f"its header promises {promised} frames, {read} were read; all of them count"
        extraction.notes.append(Remark(str(source.path), text))
    if extracted.content is not None:
        top, bottom, left, right = extracted.content
        text = f"black margins cut off: {right - left}x{bottom - top} pixels are left"
        extraction.notes.append(Remark(str(source.path), text))
    if extracted.fps < config.fps:
        text = f"has only {extracted.fps:g} frames a second; all are kept, at that rate"
        extraction.notes.append(Remark(str(source.path), text))
