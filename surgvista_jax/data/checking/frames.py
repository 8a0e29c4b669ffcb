"""The frames of a dataset that cannot be read, stand still, or occur in another video too."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from surgvista_jax.cores import available_cores
from surgvista_jax.counted import counted
from surgvista_jax.data.checking.labels import schemes
from surgvista_jax.data.checking.report import Finding
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.decode import EncodedFrames, Frames, decode_image
from surgvista_jax.data.storage.jpeg import MOST_PIXELS, is_cut_short, jpeg_pixels
from surgvista_jax.data.storage.open import FRAME_NAME, open_frames
from surgvista_jax.data.storage.records import shard_faults
from surgvista_jax.errors import UserError

import cv2  # isort: skip  # after `storage.decode`, which silences it

NAMED = 5  # frames or videos that a finding names
FROZEN_SHARE = 0.2  # of a video: more repeated pictures are reported
SHARED_SHARE = 0.1  # of a video: beyond this, two videos are the same recording
_READ_AT_ONCE = 256  # frames that a thread holds in memory
_PARTS_AT_ONCE = 32  # of so many frames
_SHOWN_BY_MANY = 64  # videos: a picture of more is black or a logo, and makes no two of them one
_HOPELESS = 2048  # frames in a row that cannot be read: the others are not looked for


@dataclass(frozen=True)
class Scan:
    """What was seen of one video.

    Attributes:
        looked: frames that were looked at.
        lost: those that cannot be read.
        repeats: the share of frames that are the picture before them.
        prints: uint64 [F], the fingerprints of its pictures, each once.
        findings: what is wrong with it alone.
    """

    looked: int
    lost: list[int]
    repeats: float
    prints: np.ndarray
    findings: list[Finding]


def scan_frames(dataset: Dataset) -> list[Finding]:
    """Opens every frame once, where training would read it: in records, folders or video files.

    Two frames are the same if all bytes of their images are; in video files, all their pixels.
    """
    return findings_of(dataset, [scan for _, scan in scan_videos(list(dataset.places()))])


def scan_videos(places: Sequence[tuple[Path, Video]]) -> Iterator[tuple[Video, Scan]]:
    """Yields what is seen of each video, one after the other."""
    total = sum(video.num_frames for _, video in places)
    with (
        ThreadPoolExecutor(available_cores()) as threads,
        tqdm(total=total, unit="frame", desc="reading frames", delay=10) as bar,
    ):
        for folder, video in places:
            try:
                frames = open_frames(folder, video)
            except UserError as error:  # records of another version of the video
                fault = Finding("error", "frames", str(error))
                yield video, Scan(0, [], 0.0, np.zeros(0, np.uint64), [fault])
                continue
            findings = []
            marks = _marks(partial(threads.map, partial(_fingerprints, frames)), video.num_frames)
            if len(marks) < video.num_frames:
                text = (
                    f"{video.video}: frame {len(marks) - 1} and many before it cannot be read; the"
                    f" {video.num_frames - len(marks):,} after it were not looked at: is"
                    f" 'num_frames' {video.num_frames:,} right?"
                )
                findings.append(Finding("error", "frames", text))
            bar.update(len(marks))
            repeats = float(np.mean(marks[1:] == marks[:-1])) if len(marks) > 1 else 0.0
            findings += _surplus(folder / video.source, video)
            lost, prints = np.flatnonzero(marks == 0).tolist(), np.unique(marks[marks != 0])
            yield video, Scan(len(marks), lost, repeats, prints, findings)


def findings_of(dataset: Dataset, scans: Sequence[Scan]) -> list[Finding]:
    """What is found of a dataset by what was seen of its videos, in their order."""
    seen = list(zip((video.video for video in dataset.videos), scans, strict=True))
    findings = [finding for scan in scans for finding in scan.findings]
    lost = [f"{video} frame {number}" for video, scan in seen for number in scan.lost]
    many = [(video, scan.repeats) for video, scan in seen if scan.repeats > FROZEN_SHARE]
    frozen = [f"{video} ({repeats:.0%})" for video, repeats in many]
    looked = sum(scan.looked for scan in scans)
    findings += [Finding("error", "frames", fault) for fault in shard_faults(dataset.folder)]
    if lost:
        text = f"{len(lost)} of {looked:,} frames cannot be read: {_name(lost)}"
        findings.append(Finding("error", "frames", text))
    elif looked:
        findings.append(Finding("good", "frames", f"all {looked:,} frames can be read"))
    if frozen:
        text = (
            f"{counted(len(frozen), 'video repeats', 'videos repeat')} the previous picture for"
            f" long: {_name(frozen)}"
        )
        findings.append(Finding("warning", "frames", text))
    return findings + _twins(dataset, {video: scan.prints for video, scan in seen})


def _marks(scan: Callable[[list[list[int]]], Iterable[np.ndarray]], num_frames: int) -> np.ndarray:
    """Fingerprints of a video's frames; fewer where a long row of them cannot be read."""
    marks = np.zeros(0, np.uint64)
    parts = _parts(num_frames)
    while some := list(itertools.islice(parts, _PARTS_AT_ONCE)):
        new = np.concatenate(list(scan(some)))
        marks = np.concatenate([marks, new])
        if len(new) >= _HOPELESS and not new.any():
            break
    return marks


def _parts(num_frames: int) -> Iterator[list[int]]:
    """The frames of a video, divided among the threads."""
    size = min(_READ_AT_ONCE, -(-num_frames // available_cores()))
    for first in range(0, num_frames, size):
        yield list(range(first, min(first + size, num_frames)))


def _fingerprints(frames: Frames, frame_ids: list[int]) -> np.ndarray:
    """64 bits of each frame, uint64; 0 for one that cannot be read."""
    marks = []
    for content in _contents(frames, frame_ids):
        if content is None:
            marks.append(0)
            continue
        digest = hashlib.blake2b(content, digest_size=8).digest()
        marks.append(int.from_bytes(digest, "little") or 1)
    return np.array(marks, np.uint64)


def _contents(frames: Frames, frame_ids: list[int]) -> Iterator[bytes | None]:
    """What identifies each frame; None for one that cannot be read."""
    if not isinstance(frames, EncodedFrames):
        for image in frames.images(frame_ids):
            yield None if image is None else image.tobytes()
        return
    for data in frames.encoded(frame_ids):
        if data is not None and jpeg_pixels(data) > MOST_PIXELS:
            yield None
            continue
        # An eighth of the size is enough to see whether an image can be decoded.
        readable = decode_image(data, cv2.IMREAD_REDUCED_GRAYSCALE_8) is not None
        yield data if readable and data is not None and not is_cut_short(data) else None


def _surplus(folder: Path, video: Video) -> list[Finding]:
    """Frames beyond the last that the manifest knows: it was written for another extraction."""
    if not os.path.exists(folder / FRAME_NAME.format(video.num_frames)):
        return []
    names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".jpg")]
    text = (
        f"{video.source} holds {counted(len(names), 'frame')}, videos.jsonl says"
        f" {video.num_frames}: were "
        "they extracted at another rate?"
    )
    return [Finding("error", "rates", text)]


def _twins(dataset: Dataset, prints: dict[str, np.ndarray]) -> list[Finding]:
    """Videos that share many frames."""
    ids = list(prints)
    marks = np.concatenate([prints[video] for video in ids]) if ids else np.zeros(0, np.uint64)
    numbers = np.repeat(np.arange(len(ids)), [len(prints[video]) for video in ids])
    order = np.argsort(marks, kind="stable")
    marks, numbers = marks[order], numbers[order]
    shared: dict[tuple[int, int], int] = {}
    starts = np.flatnonzero(np.concatenate(([True], marks[1:] != marks[:-1])))
    lengths = np.diff(starts, append=len(marks))
    several = (lengths > 1) & (lengths <= _SHOWN_BY_MANY)
    for first, length in zip(starts[several], lengths[several], strict=True):
        for pair in itertools.combinations(numbers[first : first + length].tolist(), 2):
            shared[pair] = shared.get(pair, 0) + 1
    findings = []
    for (a, b), count in shared.items():
        if count < SHARED_SHARE * min(len(prints[ids[a]]), len(prints[ids[b]])):
            continue
        text = f"{ids[a]} and {ids[b]} share {counted(count, 'frame')}: the same recording twice"
        sides = _sides(dataset, ids[a], ids[b])
        if sides:
            text += f", on both sides of a split ({sides})"
        findings.append(Finding("error" if sides else "warning", "duplicates", text))
    return findings


def _sides(dataset: Dataset, first: str, second: str) -> str:
    for splits in schemes(dataset).values():
        for a, members in splits.items():
            for b, others in splits.items():
                if a != b and first in members and second in others:
                    return f"{a}, {b}"
    return ""


def _name(what: list[str]) -> str:
    return ", ".join(what[:NAMED]) + (", …" if len(what) > NAMED else "")
