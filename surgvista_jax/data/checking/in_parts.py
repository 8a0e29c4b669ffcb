"""A check whose videos are divided among machines: what was seen of each, kept until merged."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from surgvista_jax.archives import UNREADABLE
from surgvista_jax.data.checking.frames import Scan, scan_videos
from surgvista_jax.data.checking.report import Finding
from surgvista_jax.data.dataset import Dataset, Video, fingerprint
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.data.storage.records import RecordFrames
from surgvista_jax.data.storage.shard_job import source_state, stamp_of
from surgvista_jax.errors import UserError
from surgvista_jax.parts.kept import PATTERN, kept_path, read_kept, write_kept
from surgvista_jax.parts.plan import Parts
from surgvista_jax.writing import clear_asides

CHECK = "data check"  # the command
KEPT = (PATTERN,)  # in the folder of a part


def scan_part(parts: Parts, dataset: Dataset) -> int:
    """Looks at the videos of one part that its folder lacks; returns how many the part has.

    Raises:
        UserError: as `Parts.begin`; another process does this part; the folder cannot be written.
    """
    with parts.alone():
        own = parts.begin(dataset.sizes, _facts(dataset))
        clear_asides(parts.folder)
        places = list(dataset.places())
        # Before they are looked at: frames that change meanwhile are looked at again.
        states = {number: _state(*places[number]) for number in own}
        lacking = [n for n in own if not _is_kept(kept_path(parts.folder, n), states[n])]
        scans = scan_videos([places[number] for number in lacking])
        for number, (_, scan) in zip(lacking, scans, strict=True):
            _write(kept_path(parts.folder, number), scan, states[number])
        parts.end(0)
    return len(own)


def scans_of_parts(parts: Parts, dataset: Dataset) -> Iterator[Scan]:
    """What the parts saw of each video, in the order of the videos.

    Raises:
        UserError: the parts are of other videos; what was seen of one is missing or damaged.
    """
    parts.begin(items := dataset.sizes, _facts(dataset))
    for number, part in enumerate(parts.part_of(items)):
        kept = _read(kept_path(parts.folder_of(part), number))
        if kept is None:
            what = f"what was seen of video {items[number][0]!r} is missing or damaged"
            raise parts.not_whole(part, what)
        yield kept[0]


def _facts(dataset: Dataset) -> dict[str, str]:
    return {"dataset": fingerprint(dataset)}


def _state(folder: Path, video: Video) -> str | None:
    """What changes when the frames do that are looked at (by size or time); None: not known."""
    try:
        frames = open_frames(folder, video)
    except UserError:  # which is what the scan finds
        return None
    if isinstance(frames, RecordFrames):
        return stamp_of(frames.shard).decode()
    return source_state(folder, [video])


def _is_kept(path: Path, state: str | None) -> bool:
    kept = _read(path)
    return kept is not None and kept[1] == state


def _write(path: Path, scan: Scan, state: str | None) -> None:
    about = dataclasses.asdict(dataclasses.replace(scan, prints=np.zeros(0))) | {"state": state}
    del about["prints"]
    write_kept(path, about, {"prints": scan.prints})


def _read(path: Path) -> tuple[Scan, str | None] | None:
    """What was seen of a video, and the state that its frames had; None where nothing is kept."""
    try:
        about, arrays = read_kept(path)
        state = about.pop("state")
        findings = [Finding(**finding) for finding in about.pop("findings")]
        return Scan(**about, findings=findings, prints=arrays["prints"]), state
    except UNREADABLE:
        return None
