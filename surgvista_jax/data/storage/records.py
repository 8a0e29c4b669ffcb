"""Record shards: where in those of a dataset folder a frame is.

    records/frames-00000-of-00012.array_record    one record a frame, a JPEG as it was in the folder
    records/index.json                            which videos each shard holds, and its checksum

A frame has a record of its own, in a chunk of its own. Clips take every fourth frame: with more
frames in a record or chunk, most of what is read is thrown away. Measured on clips of 16 frames at
stride 4, frames of 16 KB, one local disk, two cores, ms a clip, out of the page cache and from it:

    frame files                       2.40   0.26
    one record a frame, one by one    2.00   0.27
    one record a frame, one call      1.01   0.29    <- this one
    the same, 12 videos in one shard  0.97   0.30
    8 frames a chunk                  1.85   0.57
    32 frames a chunk                 2.42   0.71
    8 frames a record                 2.00   0.51
    32 frames a record                2.57   0.89

So records cost no more than files where the page cache holds all, and half where it does not; and
they turn 8,192 files into one, which is what shared file systems ask for.
"""

import dataclasses
import functools
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from surgvista_jax.counted import counted
from surgvista_jax.data.storage.decode import EncodedFrames
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.ownership import sha256_of
from surgvista_jax.writing import Guard, write_text

RECORDS = "records"
INDEX = "index.json"
_CHECKSUM = "crc32"  # of the index's shards, in the index; earlier versions wrote none
# JPEG does not get smaller by compressing it again.
_WRITER_OPTIONS = "group_size:1,uncompressed"
# Random reads: reading ahead would fetch unused data.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
# An open shard takes a file handle and 16 bytes a record; systems allow 1,024 handles or more.
_OPEN_SHARDS = 256
_ADVICE = (
    "; delete it and run `surgvista data pack` again, which keeps the shards that are whole, or"
    f" delete the folder {RECORDS}"
)


@dataclass(frozen=True)
class Shard:
    """One shard; `videos` are (id, number of frames) in the order of their records."""

    name: str
    num_bytes: int
    sha256: str
    videos: tuple[tuple[str, int], ...]

    @property
    def num_frames(self) -> int:
        return sum(num_frames for _, num_frames in self.videos)


@dataclass(frozen=True)
class RecordFrames(EncodedFrames):
    """The frames of one video as consecutive records of one shard."""

    shard: Path
    first: int
    num_frames: int

    def encoded(self, frame_ids: list[int]) -> Iterator[bytes | None]:
        try:
            reader = _reader(str(self.shard))
        except (OSError, RuntimeError):  # a shard that is missing, truncated or damaged
            yield from [None] * len(frame_ids)
            return
        records = [self.first + frame_id for frame_id in frame_ids]
        try:
            yield from reader.read(records)
        except (RuntimeError, IndexError):  # reading all at once is quicker, but fails as a whole
            for record in records:
                yield _read_one(reader, record)


def write_shard(path: Path, frames: Iterator[bytes | None]) -> tuple[int, str]:
    """Writes frames to a new file, an empty record for a missing one.

    Returns:
        The size of the file in bytes, and its SHA-256 (hex).

    Raises:
        OSError: it cannot be written.
    """
    try:
        writer = ArrayRecordWriter(str(path), _WRITER_OPTIONS)
        try:
            for data in frames:
                writer.write(data or b"")
        finally:
            writer.close()
    except RuntimeError as error:
        raise OSError(0, str(error).split(";")[0]) from error
    return path.stat().st_size, sha256_of(path)


def read_index(folder: Path) -> tuple[Shard, ...]:
    """The shards of a dataset folder; none where it was not packed.

    Raises:
        UserError: the index is damaged.
    """
    return _index(folder).shards


def write_index(folder: Path, shards: tuple[Shard, ...], guard: Guard | None = None) -> None:
    """Writes the index, whole or not at all; from then on the records are read.

    Raises:
        CannotWrite: it cannot be written.
    """
    lines = [
        json.dumps(
            {
                "name": shard.name,
                "num_bytes": shard.num_bytes,
                "sha256": shard.sha256,
                "videos": shard.videos,
            },
            ensure_ascii=False,
        )
        for shard in shards
    ]
    path = Path(folder) / RECORDS / INDEX
    text = ",\n".join(lines)
    write_text(path, f'{{"{_CHECKSUM}": "{_of(shards)}", "shards": [\n{text}\n]}}\n', guard)


def find_packed(folder: Path, video: str, num_frames: int) -> RecordFrames | None:
    """The records of a video, None where there are none of it.

    Raises:
        UserError: the records hold another number of frames of this video.
    """
    place = _index(folder).places.get(video)
    if place is None:
        return None
    name, first, packed = place
    if packed != num_frames:
        raise UserError(
            f"{Path(folder) / RECORDS / INDEX}: has {packed} frames of video {video!r} and "
            f"videos.jsonl {num_frames}; run `surgvista data pack` again, or delete the folder "
            f"{RECORDS}"
        )
    return RecordFrames(Path(folder) / RECORDS / name, first, num_frames)


def shard_faults(folder: Path) -> list[str]:
    """A line for every shard that is missing or of another size; reads none of them."""
    faults = []
    for shard in read_index(folder):
        path = Path(folder) / RECORDS / shard.name
        size = path.stat().st_size if path.is_file() else None
        if size == shard.num_bytes:
            continue
        found = "missing" if size is None else f"{size} bytes instead of {shard.num_bytes}"
        named = ", ".join(repr(video) for video, _ in shard.videos[:3])
        more = f" and {len(shard.videos) - 3} more" if len(shard.videos) > 3 else ""
        faults.append(
            f"{path}: {found}; it holds {counted(shard.num_frames, 'frame')} of {named}{more}"
        )
    return faults


def _of(shards: tuple[Shard, ...]) -> str:
    values = [dataclasses.astuple(shard) for shard in shards]
    return f"{zlib.crc32(json.dumps(values).encode()):08x}"


@dataclass(frozen=True)
class _Index:
    shards: tuple[Shard, ...]
    # Video -> name of its shard, its first record there, its number of frames.
    places: dict[str, tuple[str, int, int]]


def _index(folder: Path) -> _Index:
    path = Path(folder) / RECORDS / INDEX
    try:
        entry = os.stat(path)
    except OSError:
        return _Index((), {})
    return _parse_index(path, entry.st_mtime_ns, entry.st_size)


@functools.lru_cache(maxsize=16)
def _parse_index(path: Path, _changed: int, _size: int) -> _Index:
    try:
        held = parse(path.read_text(encoding="utf-8"))
        noted = held.get(_CHECKSUM)
        shards = tuple(
            Shard(**{**entry, "videos": tuple((str(v), int(n)) for v, n in entry["videos"])})
            for entry in held["shards"]
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        raise UserError(f"{path}: not an index of record shards{_ADVICE}") from None
    if noted is not None and noted != _of(shards):
        raise UserError(f"{path}: damaged, or changed since it was written{_ADVICE}")
    places = {}
    for shard in shards:
        first = 0
        for video, num_frames in shard.videos:
            places[video] = (shard.name, first, num_frames)
            first += num_frames
    return _Index(shards, places)


@functools.lru_cache(maxsize=_OPEN_SHARDS)
def _reader(path: str) -> ArrayRecordReader:
    """An open shard, shared by the threads of this process; a failure is not cached."""
    if not os.path.isfile(path):
        raise FileNotFoundError(path)
    reader = ArrayRecordReader(path, _READER_OPTIONS)
    if not reader.ok() or not reader.num_records():
        raise RuntimeError(f"{path}: not a whole ArrayRecord file")
    return reader


def _read_one(reader: ArrayRecordReader, record: int) -> bytes | None:
    try:
        return reader.read([record])[0]
    except (RuntimeError, IndexError):
        return None
