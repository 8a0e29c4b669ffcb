"""One shard: of which videos is it, is it finished, and how is it written?"""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage import packed_files
from surgvista_jax.data.storage.decode import EncodedFrames, decode_image
from surgvista_jax.data.storage.jpeg import is_cut_short
from surgvista_jax.data.storage.open import FRAME_NAME, open_frames
from surgvista_jax.data.storage.records import RECORDS, write_shard
from surgvista_jax.data.storage.tfds import source_folder
from surgvista_jax.errors import UserError
from surgvista_jax.image_files import jpeg
from surgvista_jax.json_object import parse
from surgvista_jax.ownership import Ownership
from surgvista_jax.writing import replacing, write_json


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


@dataclass(frozen=True)
class ShardJob:
    """A shard that is to be.

    Attributes:
        folder: the dataset folder, whose videos are packed.
        out: the folder that gets the records: the same, or that of a part.
        name: of its file.
        videos: without their labels.
        owned: of the records.
    """

    folder: Path
    out: Path
    name: str
    videos: tuple[Video, ...]
    owned: Ownership

    def at(self, out: Path, owned: Ownership) -> "ShardJob":
        """The same shard among the records of another folder."""
        return dataclasses.replace(self, out=out, owned=owned)

    @property
    def num_frames(self) -> int:
        return sum(video.num_frames for video in self.videos)

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        return tuple((video.video, video.num_frames) for video in self.videos)

    @property
    def path(self) -> Path:
        return self.out / RECORDS / self.name

    @property
    def state_path(self) -> Path:
        return packed_files.state_path(self.out, self.name)


def write_job(job: ShardJob, report: Callable[[int], None]) -> None | str:
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
        source = source_state(job.folder, job.videos)
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


def finished(job: ShardJob) -> dict | None:
    """The state of a shard that need not be written again, else None."""
    try:
        state = parse(job.state_path.read_text(encoding="utf-8"))
        whole = job.path.stat().st_size == state["num_bytes"]
        same = [tuple(entry) for entry in state["counts"]] == list(job.counts)
        if not (whole and same):
            return None
        # Frames that were removed after packing are in the records alone.
        current = source_state(job.folder, job.videos)
        return state if current in (state["source"], None) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def source_state(folder: Path, videos: Sequence[Video]) -> str | None:
    """A digest that changes when frames do (by size or time), None where a source is gone."""
    digest = hashlib.sha256()
    for video in videos:
        source = folder / video.source
        if source.is_dir():
            for number in range(video.num_frames):
                digest.update(stamp_of(source / FRAME_NAME.format(number)))
        elif source.exists():
            digest.update(stamp_of(source))
        else:
            return None
    return digest.hexdigest()


def stamp_of(path: Path) -> bytes:
    """What tells whether a file is what it was: its size and time."""
    try:
        entry = os.stat(path)
    except OSError:
        return b"missing\n"
    return f"{entry.st_size} {entry.st_mtime_ns}\n".encode()


def check_sources(job: ShardJob) -> None:
    for video in job.videos:
        source = job.folder / source_folder(video.source)
        if not source.exists():
            raise UserError(
                f"{source}: missing, but needed: {job.path} must be written, because it is missing "
                "or changed, or was packed from other videos"
            )
