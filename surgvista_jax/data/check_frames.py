"""Which frames of a dataset cannot be read, stand still, or are those of another video too?"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from surgvista_jax.data import decode
from surgvista_jax.data.check_labels import schemes
from surgvista_jax.data.check_report import Finding
from surgvista_jax.data.manifest import Dataset, Video
from surgvista_jax.data.workers import available_cores

import cv2  # isort: skip  # after `decode`, which silences it

NAMED = 5  # frames or videos that a finding names
FROZEN_SHARE = 0.2  # of a video: repeated pictures beyond this are worth a word
SHARED_SHARE = 0.1  # of a video: beyond this, two videos are the same recording


def scan_frames(dataset: Dataset) -> list[Finding]:
    """Opens every frame once.

    Two frames are the same if all bytes of their files are.
    """
    findings, prints = [], {}
    lost, frozen, elsewhere, seen = [], [], [], 0
    total = sum(video.num_frames for video in dataset.videos)
    with (
        ThreadPoolExecutor(available_cores()) as threads,
        tqdm(total=total, unit="frame", desc="reading frames", delay=10) as bar,
    ):
        for video in dataset.videos:
            folder = dataset.folder / video.source
            if not folder.is_dir():
                elsewhere.append(video.video)
                continue
            paths = [folder / decode.FRAME_NAME.format(i) for i in range(video.num_frames)]
            marks = np.array(list(threads.map(_fingerprint, paths)), np.uint64)
            bar.update(len(paths))
            seen += len(marks)
            lost += [f"{video.source}/{paths[i].name}" for i in np.flatnonzero(marks == 0)]
            repeats = np.mean(marks[1:] == marks[:-1]) if len(marks) > 1 else 0.0
            if repeats > FROZEN_SHARE:
                frozen.append(f"{video.video} ({repeats:.0%})")
            prints[video.video] = np.unique(marks[marks != 0])
            findings += _surplus(folder, video)
    if elsewhere:
        text = f"{len(elsewhere)} videos are no folders of frames, not opened: {_name(elsewhere)}"
        findings.append(Finding("note", "frames", text))
    if lost:
        text = f"{len(lost)} of {seen:,} frames cannot be read: {_name(lost)}"
        findings.append(Finding("error", "frames", text))
    elif seen:
        findings.append(Finding("good", "frames", f"all {seen:,} frames can be read"))
    if frozen:
        text = f"{len(frozen)} videos repeat the picture before for long: {_name(frozen)}"
        findings.append(Finding("warning", "frames", text))
    return findings + _twins(dataset, prints)


def _fingerprint(path: Path) -> int:
    """64 bits of a frame's file; 0 for one that cannot be read."""
    if decode.read_image(path, cv2.IMREAD_REDUCED_GRAYSCALE_8) is None:
        return 0
    digest = hashlib.blake2b(path.read_bytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _surplus(folder: Path, video: Video) -> list[Finding]:
    """Frames beyond the last that the manifest knows: it was written for another extraction."""
    if not os.path.exists(folder / decode.FRAME_NAME.format(video.num_frames)):
        return []
    names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".jpg")]
    text = (
        f"{video.source} holds {len(names)} frames, videos.jsonl says {video.num_frames}: were "
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
    for i in np.flatnonzero(marks[1:] == marks[:-1]):
        pair = int(numbers[i]), int(numbers[i + 1])
        shared[pair] = shared.get(pair, 0) + 1
    findings = []
    for (a, b), count in shared.items():
        if count < SHARED_SHARE * min(len(prints[ids[a]]), len(prints[ids[b]])):
            continue
        text = f"{ids[a]} and {ids[b]} share {count} frames: the same recording twice"
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
