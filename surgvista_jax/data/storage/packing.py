"""From the frames of a dataset folder to record shards, resuming where it was stopped.

    records/frames-00000-of-00012.array_record
    records/index.json                             written last: from then on the records are read
    records/.pack/frames-00000-of-00012.json       what a finished shard was made of

Which frames lie in which shard follows from `videos.jsonl` alone, and a JPEG is copied as it is, so
that packing again gives the same bytes. Finished shards are not written again.
"""

import dataclasses
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from surgvista_jax.cores import available_cores
from surgvista_jax.data import workers
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage import packed_files
from surgvista_jax.data.storage.records import INDEX, RECORDS, Shard, read_index, write_index
from surgvista_jax.data.storage.shard_job import (
    ShardJob,
    Unreadable,
    check_sources,
    finished,
    write_job,
)
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import Ownership, sha256_of
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.plan_file import read_plan, refuse_begun
from surgvista_jax.writing import CannotWrite, writing_to

# About 130 MB of frames of 16 KB: large enough for shared file systems, small enough to be made
# again and to be many, so that readers on many hosts spread over them. A video is never divided.
FRAMES_PER_SHARD = 8192
PACK = "data pack"  # the command whose parts are divided here
KEPT = ("records/.pack/*", "records/*.array_record")  # in the folder of a part
_KEPT = "; finished shards are kept: solve that and run the same command again"


@dataclass
class Packing:
    """The result of packing; `num_packed` shards were written now, the others before."""

    shards: tuple[Shard, ...] = ()
    num_packed: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


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
    parts: Parts | None = None,
) -> Packing:
    """Packs all frames of a dataset; shards that were finished from the same frames are kept.

    Args:
        parts: the shards of one of them are written alone, and no index; or all are merged.

    Raises:
        UserError: frames that are needed are gone, the folder cannot be written, the disk is full,
            or without `overwrite` a file that no packing wrote is in the way.
    """
    if dataset.source_format == "tfds":
        raise UserError(f"{dataset.folder}: its examples are in ArrayRecord files already")
    owned = packed_files.ownership(dataset.folder, overwrite)
    jobs = _plan(dataset, frames_per_shard, owned)
    try:
        if parts is None:
            refuse_begun(dataset.folder, PACK)
        elif parts.part.is_merge:
            _take_in(parts, jobs, owned)
        else:
            return _pack_part(parts, jobs, owned, num_workers)
        return _pack(dataset, jobs, owned, num_workers)
    except CannotWrite as error:
        raise UserError(f"{error}{_KEPT}") from None


def _plan(dataset: Dataset, frames_per_shard: int, owned: Ownership) -> list[ShardJob]:
    planned = plan_shards(dataset.videos, frames_per_shard)
    return [
        ShardJob(
            dataset.folder,
            dataset.folder,
            f"frames-{number:05d}-of-{len(planned):05d}.array_record",
            tuple(dataclasses.replace(video, labels=None) for video in videos),
            owned,
        )
        for number, videos in enumerate(planned)
    ]


def _pack(
    dataset: Dataset, jobs: list[ShardJob], owned: Ownership, num_workers: int | None
) -> Packing:
    remaining = _remaining(jobs)
    written = [path for job in remaining for path in (job.path, job.state_path)]
    owned.check([dataset.folder / RECORDS / INDEX, *written])
    with alone_in(dataset.folder, "pack another"), writing_to(dataset.folder / RECORDS):
        (dataset.folder / RECORDS / packed_files.STATE).mkdir(parents=True, exist_ok=True)
        _prepare(dataset.folder, jobs, anew=bool(remaining))
        _write_all(remaining, num_workers)
        packing = _packed(jobs, len(remaining))
        if read_index(dataset.folder) != packing.shards:
            write_index(dataset.folder, packing.shards, owned)
        packed_files.remove_others(owned, {job.path for job in jobs})
    return packing


def _pack_part(
    parts: Parts, jobs: list[ShardJob], owned: Ownership, num_workers: int | None
) -> Packing:
    """Writes the shards of one part among records in its folder, which is no dataset folder."""
    if read_plan(parts.out, PACK) is None and _is_packed(parts.out, jobs):
        raise UserError(
            f"{parts.out}: its frames are packed already, without --part, or by a finished merge"
        )
    owned.check(path for job in jobs for path in (job.path, job.state_path))
    with parts.alone(), writing_to(parts.folder / RECORDS):
        own = parts.begin([(job.name, job.num_frames) for job in jobs])
        owned = packed_files.ownership(parts.folder, overwrite=False)
        jobs = [jobs[number].at(parts.folder, owned) for number in own]
        remaining = _remaining(jobs)
        (parts.folder / RECORDS / packed_files.STATE).mkdir(parents=True, exist_ok=True)
        packed_files.clear_partial(parts.folder / RECORDS)
        _write_all(remaining, num_workers)
        packing = _packed(jobs, len(remaining))
        parts.end(1 if packing.unreadable else 0)
    return packing


def _take_in(parts: Parts, jobs: list[ShardJob], owned: Ownership) -> None:
    """Moves the shards of all parts to their places, in their order.

    Raises:
        UserError: one is missing, or was packed from other frames than there are.
    """
    items = [(job.name, job.num_frames) for job in jobs]
    parts.begin(items)
    taken = []
    for job, number in zip(jobs, parts.part_of(items), strict=True):
        folder = parts.folder_of(number)
        lying = job.at(folder, packed_files.ownership(folder, overwrite=False))
        if finished(lying) is not None or _is_half_moved(lying, job):
            taken.append((lying, job))
        elif finished(job) is None:
            raise parts.not_whole(number, f"shard {job.name} is missing or of other frames")
    owned.check(path for _, job in taken for path in (job.path, job.state_path))
    out = parts.out
    with alone_in(out, "pack another"), writing_to(out / RECORDS):
        (out / RECORDS / packed_files.STATE).mkdir(parents=True, exist_ok=True)
        parts.moving()
        _prepare(out, jobs, anew=bool(taken))
        for lying, job in taken:
            # The state last: a shard without it is taken for unfinished, as after any kill.
            for source, place in ((lying.path, job.path), (lying.state_path, job.state_path)):
                if source.exists():
                    owned(place, source)
                    os.replace(source, place)


def _is_half_moved(lying: ShardJob, job: ShardJob) -> bool:
    """Whether a merge was killed after it moved a shard, and before its state."""
    try:
        state = parse(lying.state_path.read_text(encoding="utf-8"))
        whole = job.path.stat().st_size == state["num_bytes"]
        return whole and sha256_of(job.path) == state["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_packed(folder: Path, jobs: list[ShardJob]) -> bool:
    """Whether there is nothing to do: the index is that of all shards, and each is finished."""
    indexed = [(shard.name, shard.videos) for shard in read_index(folder)]
    same = indexed == [(job.name, job.counts) for job in jobs]
    return same and all(finished(job) is not None for job in jobs)


def _remaining(jobs: list[ShardJob]) -> list[ShardJob]:
    remaining = [job for job in jobs if finished(job) is None]
    for job in remaining:
        check_sources(job)
    return remaining


def _write_all(jobs: list[ShardJob], num_workers: int | None) -> None:
    for number, result in _run_all(jobs, num_workers or available_cores()):
        if isinstance(result, workers.Crash):
            raise UserError(f"{jobs[number].path}: {result}")
        if isinstance(result, str):
            raise UserError(f"{result}{_KEPT}")


def _packed(jobs: list[ShardJob], num_packed: int) -> Packing:
    packing = Packing(num_packed=num_packed)
    for job in jobs:
        state = parse(job.state_path.read_text(encoding="utf-8"))
        shard = Shard(job.name, state["num_bytes"], state["sha256"], job.counts)
        packing.shards += (shard,)
        packing.unreadable += [Unreadable(*entry) for entry in state["unreadable"]]
    return packing


def _run_all(jobs: list[ShardJob], num_workers: int) -> Iterator[tuple[int, object]]:
    watched = sys.stderr.isatty()
    interval = 0.5 if watched else 30.0  # seconds; a log file needs few lines
    total = sum(count for job in jobs for _, count in job.counts)
    done = [0] * len(jobs)
    options = {"mininterval": interval, "leave": not watched, "disable": not jobs}
    with tqdm(total=total, unit="frame", **options) as bar:

        def show(number: int, count: int) -> None:
            bar.update(count - done[number])
            done[number] = count

        for number, result in workers.run_each(write_job, jobs, num_workers, show):
            show(number, sum(count for _, count in jobs[number].counts))
            yield number, result


def _prepare(folder: Path, jobs: list[ShardJob], anew: bool) -> None:
    """Removes an index that would be wrong while shards are written, and old partial files."""
    planned = [(job.name, job.counts) for job in jobs]
    indexed = [(shard.name, shard.videos) for shard in read_index(folder)]
    if anew or planned != indexed:
        (folder / RECORDS / INDEX).unlink(missing_ok=True)
    packed_files.clear_partial(folder / RECORDS)
