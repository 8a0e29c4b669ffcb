"""From the frames of a dataset folder to record shards, resuming where it was stopped.

    records/frames-00000-of-00012.array_record
    records/index.json                             written last: from then on the records are read
    records/.pack/frames-00000-of-00012.json       what a finished shard was made of

Which frames lie in which shard follows from `videos.jsonl` alone, and a JPEG is copied as it is, so
that packing again gives the same bytes. Finished shards are not written again.
"""

import dataclasses
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
from tqdm import tqdm

from surgvista_jax.cores import available_cores
from surgvista_jax.data import workers
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage import packed_files
from surgvista_jax.data.storage.decode import EncodedFrames, decode_image
from surgvista_jax.data.storage.jpeg import is_cut_short
from surgvista_jax.data.storage.open import FRAME_NAME, open_frames
from surgvista_jax.data.storage.records import (
    INDEX,
    RECORDS,
    Shard,
    read_index,
    write_index,
    write_shard,
)
from surgvista_jax.data.storage.tfds import source_folder
from surgvista_jax.errors import UserError
from surgvista_jax.image_files import jpeg
from surgvista_jax.json_object import parse
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import Ownership
from surgvista_jax.writing import CannotWrite, replacing, write_json, writing_to

# About 130 MB of frames of 16 KB: large enough for shared file systems, small enough to be made
# again and to be many, so that readers on many hosts spread over them. A video is never divided.
FRAMES_PER_SHARD = 8192
_KEPT = "; finished shards are kept: solve that and run the same command again"


@dataclass(frozen=True)
class Unreadable:
    """A frame whose record is empty, or not a whole image.

    cut_short: its data end before its last pixel, and an end marker follows: readers take the rest
        of it to be grey.
    """

    video: str
    frame: int
    missing: bool
    cut_short: bool = False

    def __str__(self) -> str:
        if self.cut_short:
            what = "is cut short; what its data lack stays grey"
        elif self.missing:
            what = "is missing; it stays unreadable"
        else:
            what = "is not a whole image; it stays unreadable"
        return f"video {self.video!r}: frame {self.frame} {what}"


@dataclass
class Packing:
    """The result of packing; `num_packed` shards were written now, the others before."""

    shards: tuple[Shard, ...] = ()
    num_packed: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass(frozen=True)
class _Job:
    folder: Path
    name: str
    videos: tuple[Video, ...]
    owned: Ownership

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        return tuple((video.video, video.num_frames) for video in self.videos)

    @property
    def path(self) -> Path:
        return self.folder / RECORDS / self.name

    @property
    def state_path(self) -> Path:
        return packed_files.state_path(self.folder, self.name)


def plan_shards(videos: tuple[Video, ...], frames_per_shard: int) -> list[tuple[Video, ...]]:
    """Divides videos, in their order, into shards of about so many frames, at least one shard."""
    shards: list[list[Video]] = []
    room = 0
    for video in videos:
        if video.num_frames > room or not shards:
            shards.append([])
            room = frames_per_shard
        shards[-1].append(video)
        room -= video.num_frames
    return [tuple(shard) for shard in shards]


def pack(
    dataset: Dataset,
    frames_per_shard: int = FRAMES_PER_SHARD,
    num_workers: int | None = None,
    overwrite: bool = False,
) -> Packing:
    """Packs all frames of a dataset; shards that were finished from the same frames are kept.

    Raises:
        UserError: frames that are needed are gone, the folder cannot be written, the disk is full,
            or without `overwrite` a file that no packing wrote is in the way.
    """
    if dataset.source_format == "tfds":
        raise UserError(f"{dataset.folder}: its examples are in ArrayRecord files already")
    owned = packed_files.ownership(dataset.folder, overwrite)
    planned = plan_shards(dataset.videos, frames_per_shard)
    jobs = [
        _Job(
            dataset.folder,
            f"frames-{number:05d}-of-{len(planned):05d}.array_record",
            tuple(dataclasses.replace(video, labels=None) for video in videos),
            owned,
        )
        for number, videos in enumerate(planned)
    ]
    states = [_finished(job) for job in jobs]
    remaining = [job for job, state in zip(jobs, states, strict=True) if state is None]
    for job in remaining:
        _check_sources(job)
    written = [path for job in remaining for path in (job.path, job.state_path)]
    owned.check([dataset.folder / RECORDS / INDEX, *written])
    packing = Packing(num_packed=len(remaining))
    try:
        with alone_in(dataset.folder, "pack another"), writing_to(dataset.folder / RECORDS):
            (dataset.folder / RECORDS / packed_files.STATE).mkdir(parents=True, exist_ok=True)
            _prepare(dataset.folder, jobs, anew=bool(remaining))
            for number, result in _run_all(remaining, num_workers or available_cores()):
                if isinstance(result, workers.Crash):
                    raise UserError(f"{remaining[number].path}: {result}")
                if isinstance(result, str):
                    raise UserError(f"{result}{_KEPT}")
            for job in jobs:
                state = parse(job.state_path.read_text(encoding="utf-8"))
                shard = Shard(job.name, state["num_bytes"], state["sha256"], job.counts)
                packing.shards += (shard,)
                packing.unreadable += [Unreadable(*entry) for entry in state["unreadable"]]
            if read_index(dataset.folder) != packing.shards:
                write_index(dataset.folder, packing.shards, owned)
            packed_files.remove_others(owned, {job.path for job in jobs})
    except CannotWrite as error:
        raise UserError(f"{error}{_KEPT}") from None
    return packing


def _run_all(jobs: list[_Job], num_workers: int) -> Iterator[tuple[int, object]]:
    interval = 0.5 if sys.stderr.isatty() else 30.0  # seconds; a log file needs few lines
    total = sum(count for job in jobs for _, count in job.counts)
    done = [0] * len(jobs)
    with tqdm(total=total, unit="frame", mininterval=interval, disable=not jobs) as bar:

        def show(number: int, count: int) -> None:
            bar.update(count - done[number])
            done[number] = count

        for number, result in workers.run_each(_run, jobs, num_workers, show):
            show(number, sum(count for _, count in jobs[number].counts))
            yield number, result


def _run(job: _Job, report: Callable[[int], None]) -> None | str:
    """Writes one shard in a worker; returns what is wrong with the output, if anything."""
    cv2.setNumThreads(0)
    unreadable: list[Unreadable] = []

    def frames() -> Iterator[bytes | None]:
        count = 0
        for video in job.videos:
            for frame, data in enumerate(_encoded(job.folder, video)):
                # An eighth of the size is enough to see whether an image can be decoded.
                if decode_image(data, cv2.IMREAD_REDUCED_GRAYSCALE_8) is None:
                    unreadable.append(Unreadable(video.video, frame, data is None))
                elif data is not None and is_cut_short(data):
                    unreadable.append(Unreadable(video.video, frame, False, cut_short=True))
                yield data
                count += 1
                report(count)

    try:
        # Before the frames are read: if they change meanwhile, the shard counts as outdated.
        source = _source_state(job)
        with replacing(job.path, job.owned) as aside:
            num_bytes, sha256 = write_shard(aside, frames())
        state = {
            "counts": job.counts,
            "source": source,
            "num_bytes": num_bytes,
            "sha256": sha256,
            "unreadable": [dataclasses.astuple(entry) for entry in unreadable],
        }
        write_json(job.state_path, state, job.owned)
    except UserError as error:
        return str(error)
    return None


def _encoded(folder: Path, video: Video) -> Iterator[bytes | None]:
    """All frames of a video as JPEG; images are taken as they are."""
    frame_ids = list(range(video.num_frames))
    try:
        source = open_frames(folder, video, packed=False)
        if isinstance(source, EncodedFrames):
            yield from source.encoded(frame_ids)
            return
        for image in source.images(frame_ids):
            yield None if image is None else jpeg(image)
    except (OSError, RuntimeError) as error:  # it would be taken for one of writing the shard
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{folder / video.source}: cannot be read ({reason})") from error


def _finished(job: _Job) -> dict | None:
    """The state of a shard that need not be written again, else None."""
    try:
        state = parse(job.state_path.read_text(encoding="utf-8"))
        whole = job.path.stat().st_size == state["num_bytes"]
        same = [tuple(entry) for entry in state["counts"]] == list(job.counts)
        if not (whole and same):
            return None
        # Frames that were removed after packing are in the records alone.
        current = _source_state(job)
        return state if current in (state["source"], None) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _source_state(job: _Job) -> str | None:
    """A digest that changes when frames do (by size or time), None where a source is gone."""
    digest = hashlib.sha256()
    for video in job.videos:
        source = job.folder / video.source
        if source.is_dir():
            for number in range(video.num_frames):
                digest.update(_stamp(source / FRAME_NAME.format(number)))
        elif source.exists():
            digest.update(_stamp(source))
        else:
            return None
    return digest.hexdigest()


def _stamp(path: Path) -> bytes:
    try:
        entry = os.stat(path)
    except OSError:
        return b"missing\n"
    return f"{entry.st_size} {entry.st_mtime_ns}\n".encode()


def _check_sources(job: _Job) -> None:
    for video in job.videos:
        source = job.folder / source_folder(video.source)
        if not source.exists():
            raise UserError(
                f"{source}: missing, but needed: {job.path} must be written, because it is missing "
                "or changed, or was packed from other videos"
            )


def _prepare(folder: Path, jobs: list[_Job], anew: bool) -> None:
    """Removes an index that would be wrong while shards are written, and old partial files."""
    planned = [(job.name, job.counts) for job in jobs]
    indexed = [(shard.name, shard.videos) for shard in read_index(folder)]
    if anew or planned != indexed:
        (folder / RECORDS / INDEX).unlink(missing_ok=True)
    packed_files.clear_partial(folder / RECORDS)
