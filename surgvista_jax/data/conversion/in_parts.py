"""A conversion whose videos are divided among machines: one part of it, and their merge.

A part extracts its videos into a folder of its own, with a journal and a record as every output
folder has. The merge moves them to their places, as if they had been extracted there, and then the
conversion goes on as one that was stopped before it wrote the manifest.
"""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.extract_all import Extraction, extract_all
from surgvista_jax.data.conversion.journal import Journal
from surgvista_jax.data.conversion.placing import FRAMES, FrameFolders
from surgvista_jax.data.conversion.sources import SourceVideo, items_of
from surgvista_jax.data.conversion.state import open_journal, ownership
from surgvista_jax.data.storage.open import FRAME_NAME
from surgvista_jax.ownership import Ownership
from surgvista_jax.parts.plan import Parts
from surgvista_jax.writing import clear_asides, writing_to

KEPT = (".convert/*.jsonl", "frames/**/[0-9]*.jpg")  # in the folder of a part


def extract_part(
    parts: Parts,
    sources: Sequence[SourceVideo],
    source_format: str,
    source: Path,
    config: ExtractConfig,
    num_workers: int,
) -> Extraction:
    """Extracts the videos of one part that its folder lacks; says that the part ended.

    Args:
        sources: the videos of all parts.
        source_format, source: as for `open_journal`.

    Raises:
        UserError: as `extract_all` and `Parts.begin`; another process does this part.
    """
    with (
        parts.alone(),
        open_journal(parts.folder, source_format, source, config) as journal,
    ):
        own = [sources[number] for number in parts.begin(items_of(sources))]
        clear_asides(parts.folder)
        owned = ownership(parts.folder, overwrite=False)
        extraction = extract_all(own, owned, journal, config, num_workers)
        without = [each.video for each in own if each.video not in extraction.videos]
        parts.end(1 if extraction.problems else 0, without)
    return extraction


def take_in(
    parts: Parts,
    sources: Sequence[SourceVideo],
    owned: Ownership,
    journal: Journal,
    source_format: str,
    source: Path,
    config: ExtractConfig,
) -> None:
    """Moves the videos of all parts to their places, in the order of `sources`.

    Videos of which nothing came in a part are left to whoever extracts what the journal lacks.

    Args:
        owned: of the output folder.
        journal: its journal.

    Raises:
        UserError: frames of a part are gone; something is in a video's place that may not be
            replaced.
    """
    parts.begin(items_of(sources))
    folders = FrameFolders(owned, journal.finished)
    made = []
    for number, folder in enumerate(parts.folders, start=1):
        with open_journal(folder, source_format, source, config) as own:
            record = ownership(folder, overwrite=False).record
            made.append((own.finished, record, parts.nothing_of(number)))
    taken = []
    numbers = parts.part_of(items_of(sources))
    with writing_to(owned.folder):
        for video, number in zip((each.video for each in sources), numbers, strict=True):
            finished, record, nothing = made[number - 1]
            entry = finished.get(video)
            if entry is None and video not in nothing and video not in journal.finished:
                raise parts.not_whole(number, f"video {video!r} is missing")
            if entry is None or journal.finished.get(video) == entry:
                continue
            lying, lines = parts.folder_of(number) / FRAMES / video, record.lines("frames", video)
            checksums = lines[-1]["checksums"] if lines else ""
            if not _all_there(lying, folders.path(video), entry.extracted.num_frames, checksums):
                raise parts.not_whole(number, f"frames of video {video!r} are missing")
            taken.append((entry, lying, checksums))
        parts.moving()
        for entry, lying, checksums in taken:
            if lying.is_dir():
                folders.install(lying, entry.video, entry.extracted.num_frames, checksums)
            else:
                folders.note(entry.video, entry.extracted.num_frames, checksums)
            journal.append(entry)


def _all_there(lying: Path, place: Path, num_frames: int, checksums: str) -> bool:
    """Whether a part has all frames of a video, or an earlier merge put them in their place."""
    names = set(os.listdir(lying)) if lying.is_dir() else set()
    for number in range(num_frames):
        name = FRAME_NAME.format(number)
        if name in names:
            continue
        known = checksums[8 * number : 8 * number + 8]
        path = place / name
        if not path.is_file() or known != f"{zlib.crc32(path.read_bytes()):08x}":
            return False
    return True
